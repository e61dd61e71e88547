"""The status of a database, its activity and its metrics. Also runs on hosts without Ansible."""
