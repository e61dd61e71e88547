"""Backups: taken, verified, kept, restored, drilled. Runs on hosts also without Ansible, by timers."""
