"""Tests of the collection, which is found by its name as Ansible finds it: by the link in collections/."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "collections"))
