"""Real hosts for the tests: a Docker engine, images of Debian under systemd, and PostgreSQL 16 as .debs.

``python -m tests.hosts up`` makes what is missing and writes the environment of Molecule to ``.env.yml``;
``python -m tests.hosts down`` ends what ``up`` started. Images and packages stay, so that the next time is fast.
"""
