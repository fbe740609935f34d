"""Approved calls that take their worker down: a person is asked each time, and each repetition has a key of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.api.conftest import until
from tests.runs.test_waiting import Office, office

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


def lost_call(busy: Office, run_id: str, key: str) -> dict[str, Any]:
    """The question about a lost call that had this key."""

    def asked() -> dict[str, Any] | None:
        waiting = busy.settled(run_id)["waiting_for"] or []
        return next((wait for wait in waiting if (wait["metadata"] or {}).get("idempotency_key") == key), None)

    return until(asked, 60)


def test_each_repetition_of_a_lost_call_needs_a_person(database_url: str, tmp_path: Path) -> None:
    with office(database_url, tmp_path, workers=2) as busy:
        run_id = busy.start(("wreck", {}))
        busy.settled(run_id)
        busy.decide(run_id, "c0", approve=True)
        assert lost_call(busy, run_id, f"{run_id}:3")["kind"] == "outcome_unknown"
        assert busy.effects() == {"wreck": 1}
        assert busy.resume(run_id, tool_call_id="c0", run_again=True).status_code == 200
        lost_call(busy, run_id, f"{run_id}:3:2")
        assert busy.effects() == {"wreck": 2}
        assert busy.resume(run_id, tool_call_id="c0", run_again=True).status_code == 200
        assert busy.answers(run_id) == [["wreck", "survived", "success"]]
        assert busy.keys_of("wreck") == [f"{run_id}:3", f"{run_id}:3:2", f"{run_id}:3:3"]
        decided = busy.http.get("/api/approvals", params={"status": "decided"}).json()["approvals"]
        assert [item["kind"] for item in decided] == ["outcome_unknown", "outcome_unknown", "approval"]
