"""Names of durable engines that do not run here, so that code which mentions them is told what to use instead."""

from __future__ import annotations

from typing import Any, ClassVar

from app.ai.exceptions import UserError


class NeedsEngine:
    """Refuses to be made: its engine is not installed."""

    engine: ClassVar[str]

    def __init__(self, *args: Any, **options: Any) -> None:
        """Raises `UserError`."""
        raise UserError(
            f"{type(self).__name__} needs the engine {self.engine}, which is not installed here. Durable agents run on "
            "DBOS and Postgres: use `app.ai.durable_exec.dbos.DBOSAgent`, or serve the agent with Holdfast"
        )
