"""A worker that kills itself, with SIGKILL, at the point that the driver wrote into a file for the run.

<dir>/<run id> holds "<step>:<point>"; points: before (the boundary), begun (attempt committed, body not started),
performed (effect done, nothing recorded), recorded; closed (no more messages are taken, no outcome recorded).
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from app.db import sent_messages, waits
from app.db.sent_messages import Draw
from app.db.waits import Wait
from app.durable import journal
from app.durable.events import StepEvents
from app.durable.journal import Body, Envelope, Journal, StepPlan
from app.durable.worker import run_worker
from app.settings import load_settings
from app.telemetry import set_up_logging
from tests.crash.agents import AGENTS
from tests.crash.mcp_agents import MCP_AGENTS
from tests.crash.provider_agents import provider_agents

CRASHES = "HOLDFAST_TEST_CRASHES"

perform = journal.Journal.perform
decisions_or_park = waits.decisions_or_park
take = sent_messages.take
close = sent_messages.close


def crash_here(run_id: str, step: int, point: str) -> None:
    order = Path(os.environ[CRASHES], run_id)
    if order.exists() and order.read_text() == f"{step}:{point}":
        # Renamed first: the survivor must get through.
        order.rename(order.with_suffix(".done"))
        os.kill(os.getpid(), signal.SIGKILL)


async def perform_or_die(self: Journal, plan: StepPlan, body: Body) -> Envelope:
    async def inside(events: StepEvents) -> Envelope:
        crash_here(self.run_id, plan.step, "begun")
        envelope = await body(events)
        crash_here(self.run_id, plan.step, "performed")
        return envelope

    crash_here(self.run_id, plan.step, "before")
    envelope = await perform(self, plan, inside)
    crash_here(self.run_id, plan.step, "recorded")
    return envelope


async def decide_or_die(engine: AsyncEngine, run_id: str, owner: str, step: int, asked: Sequence[Wait]) -> Any:
    decisions = await decisions_or_park(engine, run_id, owner, step, asked)
    if decisions is not None:
        crash_here(run_id, step, "performed")
    return decisions


async def take_or_die(engine: AsyncEngine, draw: Draw) -> Any:
    crash_here(draw.run_id, draw.step, "begun")
    taken = await take(engine, draw)
    crash_here(draw.run_id, draw.step, "performed")
    return taken


async def close_or_die(engine: AsyncEngine, draw: Draw) -> bool:
    closed = await close(engine, draw)
    crash_here(draw.run_id, draw.step, "closed")
    return closed


if __name__ == "__main__":
    Journal.perform = perform_or_die
    waits.decisions_or_park = decide_or_die
    sent_messages.take = take_or_die
    sent_messages.close = close_or_die
    settings = load_settings()
    set_up_logging(settings.log_level)
    sys.exit(run_worker(settings, AGENTS | MCP_AGENTS | provider_agents()))
