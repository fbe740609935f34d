"""A database for the tests of one module."""

from tests.crash.conftest import crash_database_url

__all__ = ["crash_database_url"]
