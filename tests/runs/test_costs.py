"""What runs cost: on their steps, in the API and in SQL."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest

from app.ai.messages import ModelResponse, TextPart
from app.ai.usage import RequestUsage
from app.durable.costs import cost_usd
from tests.runs.test_waiting import Office, office

TOKENS = RequestUsage(input_tokens=1000, output_tokens=100)


@pytest.fixture
def clerks(crash_database_url: str, tmp_path: Path) -> Iterator[Office]:
    with office(crash_database_url, tmp_path) as opened:
        yield opened


def test_a_priced_request_costs_and_an_unpriced_one_is_null(clerks: Office, crash_database_url: str):
    run_id = clerks.start(("look", {}))
    clerks.answers(run_id)
    run = clerks.http.get(f"/api/runs/{run_id}").json()
    steps = clerks.http.get(f"/api/runs/{run_id}/steps").json()["steps"]
    assert (run["cost_usd"], run["unknown_cost_attempts"]) == (0.0035, 0)
    assert [step["cost_usd"] for step in steps if step["kind"] == "model"] == [None, 0.0035]
    with psycopg.connect(crash_database_url) as connection:
        found = connection.execute("select cost_usd from holdfast.runs where run_id = %s", (run_id,)).fetchone()
    assert found == (Decimal("0.0035"),)


@pytest.mark.parametrize("told", [0.25, {"request_cost": 0.2, "total_cost": 0.25}])
async def test_a_provider_that_says_what_it_took_is_believed(told: object):
    answer = ModelResponse([TextPart("Hi")], model_name="gpt-4o", provider_name="openrouter", usage=TOKENS)
    answer.provider_details = {"cost": told}
    assert await cost_usd(answer) == 0.25


@pytest.mark.parametrize(
    "answer",
    [
        ModelResponse([TextPart("Hi")], model_name="nobody's", provider_name="openai", usage=TOKENS),
        ModelResponse([TextPart("Hi")], model_name="gpt-4o", provider_name="function", provider_url="http://localhost"),
        ModelResponse([TextPart("Hi")], usage=TOKENS),
    ],
)
async def test_what_nobody_knows_the_price_of_has_none(answer: ModelResponse):
    assert await cost_usd(answer) is None
