"""Backups: creation, verification, retention, restore and drill. Also runs on hosts without Ansible, by timers."""
