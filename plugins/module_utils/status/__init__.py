"""What stands in a database and what runs on it, and its metrics. Runs on hosts also without Ansible."""
