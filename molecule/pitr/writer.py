"""Commits numbered rows until it is stopped, and writes each number after the server has acknowledged it."""

from __future__ import annotations

import itertools
import sys
import time
from pathlib import Path

import psycopg

with Path(sys.argv[1]).open("w", buffering=1) as acknowledged:
    for number in itertools.count():
        try:
            with psycopg.connect(
                "host=/var/run/postgresql user=postgres dbname=physioflow", autocommit=True
            ) as session:
                session.execute("INSERT INTO organizations (name) VALUES (%s)", [f"writer {number}"])
            acknowledged.write(f"{time.time()} {number}\n")
        except psycopg.Error:
            time.sleep(0.1)  # the server is restarted
