"""`holdfast agents`: what can be asked to run."""

from __future__ import annotations

from app.cli.options import DEFAULT_URL, AsJson, Url, service_at, with_output
from app.cli.render import answer, table

_COLUMNS = ("name", "model", "output_type", "tools", "description")


@with_output
def agents(as_json: AsJson = False, url: Url = DEFAULT_URL) -> None:
    """The agents of the service."""
    with service_at(url) as client:
        found = client.get("agents")
    if as_json:
        answer(found)
    else:
        table(_COLUMNS, found["agents"])
