"""What the modules and actions of the collection share: one package a subject, imported relatively."""
