"""Unit tests import the Python of the roles under the names that Ansible gives it."""

from tests import role_python  # noqa: F401 - importing it makes the names known
