"""Shared code of the modules and actions of the collection: one package per subject, imported relatively."""
