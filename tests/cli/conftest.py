"""The service of the API tests, for commands that talk to one."""

from tests.api.conftest import app, database, http, service_url, stage

__all__ = ["app", "database", "http", "service_url", "stage"]
