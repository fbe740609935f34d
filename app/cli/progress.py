"""What a run does while it goes, on stderr: a line for each thing, and on a terminal a last line that moves.

· 2.1 s  step 3: slow_lookup({"topic": "kill -9"})
⠙ step 3: tool:slow_lookup · 214 tokens · 4 s
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from app.cli.render import note, shortened

if TYPE_CHECKING:
    from rich.live import Live

_STATES: Final = frozenset({"run_queued", "run_running", "run_taken_over", "run_waiting"})
_TOKENS_EVERY_SECONDS: Final = 1.0


class Progress:
    """Tells what comes of one run. `read_tokens` asks the service how many tokens the run has used so far."""

    def __init__(self, read_tokens: Callable[[], int], *, show_text: bool) -> None:
        self._read_tokens = read_tokens
        self._show_text = show_text
        self._tokens = 0
        self._tokens_read = 0.0
        self._doing = "queued"
        self._began: datetime | None = None
        self.seconds = 0.0
        """From the run's first event to the last one that was told."""
        self._live = _live_line(self.line) if sys.stderr.isatty() else None

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def line(self) -> str:
        """Where the run is at this moment."""
        elapsed = (datetime.now(UTC) - self._began).total_seconds() if self._began else 0.0
        return f"{self._doing} · {self._tokens} tokens · {max(0, int(elapsed))} s"

    def tell(self, event: Mapping[str, Any]) -> None:
        """Show an event of the run, if it is one that people care for."""
        at = datetime.fromisoformat(event["created_at"])
        self._began = self._began or at
        self.seconds = (at - self._began).total_seconds()
        self._keep_in_mind(event)
        data: Mapping[str, Any] = event["data"]
        if self._show_text and event["type"] in ("part_start", "part_delta", "part_end"):
            self._tell_text(event["type"], data)
        elif line := _line_of(event):
            self._say(f"· {self.seconds:.1f} s  {line}")

    def _say(self, line: str) -> None:
        if self._live is None:
            note(line)
        else:
            # Through the console that owns the moving line, which steps aside.
            self._live.console.print(line, markup=False, highlight=False)

    def _keep_in_mind(self, event: Mapping[str, Any]) -> None:
        if event["type"] in _STATES:
            self._doing = _state(event["type"])
        elif event["type"] == "attempt":
            self._doing = f"step {event['step']}: {event['data'].get('name', '')}"
            now = time.monotonic()
            if self._live is not None and now - self._tokens_read >= _TOKENS_EVERY_SECONDS:
                self._tokens, self._tokens_read = self._read_tokens(), now

    def _tell_text(self, kind: str, data: Mapping[str, Any]) -> None:
        """The model's words as they come; the moving line makes room for them."""
        part, delta = data.get("part", {}), data.get("delta", {})
        match kind:
            case "part_start" if part.get("part_kind") == "text":
                if self._live is not None:
                    self._live.stop()
                note(part.get("content", ""), end="")
            case "part_delta" if delta.get("part_delta_kind") == "text":
                note(delta.get("content_delta", ""), end="")
            case "part_end" if part.get("part_kind") == "text":
                note("")
                if self._live is not None:
                    self._live.start()
            case _:
                pass


def _line_of(event: Mapping[str, Any]) -> str | None:
    data: Mapping[str, Any] = event["data"]
    match event["type"]:
        case "run_waiting":
            return f"waiting: {', '.join(wait['kind'] for wait in data.get('waiting_for', ()))}"
        case kind if kind in _STATES:
            worker = data.get("worker")
            return f"{_state(kind)} on {worker}" if worker else _state(kind)
        case "attempt":
            return _attempt(event)
        case "message_sent":
            return f"message from {data['sent_by']}: {shortened(data['content'])}"
        case "function_tool_call":
            part = data.get("part", {})
            return f"step {event['step']}: {part.get('tool_name', 'tool')}({shortened(part.get('args'))})"
        case _:
            return None


def _attempt(event: Mapping[str, Any]) -> str | None:
    kind, name = event["data"].get("kind"), event["data"].get("name")
    if (event["attempt"] or 1) > 1:
        void = "; its earlier text is void" if kind == "model" else ""
        return f"step {event['step']}: {name}, attempt {event['attempt']}{void}"
    return None if kind in ("tool", "mcp") else f"step {event['step']}: {name}"


def _state(event_type: str) -> str:
    return event_type.removeprefix("run_").replace("_", " ")


def _live_line(line: Callable[[], str]) -> Live:
    # Not at the head: slow to import, and pipes never need it.
    from rich.console import Console
    from rich.live import Live
    from rich.spinner import Spinner

    spinner = Spinner("dots")

    def moving() -> Spinner:
        spinner.update(text=line())
        return spinner

    return Live(console=Console(stderr=True), get_renderable=moving, transient=True, refresh_per_second=8)
