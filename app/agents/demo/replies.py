"""What the demo model answers: rules instead of a network, so that the same messages always get the same answer.

look up Postgres and DBOS              two calls of slow_lookup at once
look up Postgres for 3 seconds         … which takes that long
add 2 and 3                            a call of add
what time is it in Tokyo               a call of the time server
look up Postgres, then add 2 and 3     one after the other, in two model requests
count to 20                            text in many pieces
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias
from zoneinfo import available_timezones

ChatMessage: TypeAlias = dict[str, Any]
"""A message in the form of OpenAI's Chat Completions."""

HELP = (
    "I am Holdfast's demo model and follow a few rules. Try: look up Postgres and DBOS; add 2 and 3; "
    "what time is it in Tokyo; count to 20; or several of them with `then` between."
)

_NUMBER = r"-?\d+(?:\.\d+)?"
_ADD = re.compile(
    rf"\b(?:add|sum)\s+({_NUMBER})\s+(?:and|to|plus)\s+({_NUMBER})|({_NUMBER})\s*(?:\+|plus)\s*({_NUMBER})", re.I
)
_LOOK_UP = re.compile(
    r"\b(?:look\s+up|know\s+about)\s+(.+?)(?=[.;?!](?:\s|$)|\n|,?\s+and\s+(?:add|sum|count|what|tell)\b|$)", re.I
)
_SECONDS = re.compile(rf"\s+(?:for|in)\s+({_NUMBER})\s*s(?:ec(?:ond)?s?)?$", re.I)
_TIME = re.compile(r"\btime\b(?:[^.;?!\n]*?\bin\s+([A-Za-z_/ ]+))?", re.I)
_COUNT = re.compile(r"\bcount\s+(?:up\s+)?to\s+(\d+)", re.I)
_MOST = 10_000


@dataclass(frozen=True)
class Call:
    """A tool call that the model makes."""

    id: str
    tool: str
    args: dict[str, Any]


@dataclass(frozen=True)
class Reply:
    """The model's answer: calls, or else text."""

    text: str = ""
    calls: tuple[Call, ...] = ()


def reply(messages: Sequence[ChatMessage], tools: Sequence[str]) -> Reply:
    """Answer the last user message, with calls to the tools that are on offer."""
    since = next((i for i in reversed(range(len(messages))) if messages[i]["role"] == "user"), 0)
    prompt = _text(messages[since]) if messages else ""
    turns = messages[since + 1 :]
    stages = [stage for stage in re.split(r",?\s*\bthen\b\s*", prompt, flags=re.I) if stage]
    done = sum(1 for turn in turns if turn.get("tool_calls"))
    for stage in stages[done:]:
        if calls := list(_wanted(stage, tools)):
            return Reply(calls=tuple(Call(f"call_{len(messages)}_{i}", *call) for i, call in enumerate(calls)))
    return Reply(text=_answer(prompt, turns))


def _wanted(stage: str, tools: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, args in (*_lookups(stage), *_sums(stage), *_times(stage)):
        for tool in tools:
            if tool == name or tool.endswith(f"_{name}"):
                yield tool, args


def _lookups(stage: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for match in _LOOK_UP.finditer(stage):
        topics = match[1].strip()
        seconds = _SECONDS.search(topics)
        timing = {"seconds": float(seconds[1])} if seconds else {}
        for topic in re.split(r",\s*|\s+and\s+", _SECONDS.sub("", topics)):
            yield "slow_lookup", {"topic": topic.strip(" \"'"), **timing}


def _sums(stage: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for match in _ADD.finditer(stage):
        a, b = (number for number in match.groups() if number is not None)
        yield "add", {"a": _number(a), "b": _number(b)}


def _number(text: str) -> int | float:
    return float(text) if "." in text else int(text)


def _times(stage: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if match := _TIME.search(stage):
        yield "get_current_time", {"timezone": _timezone(match[1] or "UTC")}


def _timezone(place: str) -> str:
    wanted = re.split(r"\s+and\s+", place.strip(), flags=re.I)[0].replace(" ", "_").casefold()
    zones = _zones()
    return zones.get(wanted) or next((zone for key, zone in zones.items() if key.endswith(f"/{wanted}")), "UTC")


@cache
def _zones() -> dict[str, str]:
    return {zone.casefold(): zone for zone in sorted(available_timezones())}


def _answer(prompt: str, turns: Sequence[ChatMessage]) -> str:
    if count := _COUNT.search(prompt):
        return " ".join(str(number) for number in range(1, min(int(count[1]), _MOST) + 1))
    calls = {call["id"]: call["function"] for turn in turns for call in turn.get("tool_calls") or ()}
    results = [turn for turn in turns if turn["role"] == "tool"]
    if not results:
        return f"You said {prompt!r}. {HELP}"
    lines = [_result(calls.get(turn["tool_call_id"], {}), _text(turn)) for turn in results]
    return "\n".join(["Here is what I found.", *lines])


def _result(function: dict[str, Any], content: str) -> str:
    args: dict[str, Any] = json.loads(function.get("arguments") or "{}")
    given = ", ".join(f"{name}={value}" for name, value in args.items())
    return f"- {function.get('name', 'tool')}({given}): {content}"


def _text(message: ChatMessage) -> str:
    content: Any = message.get("content") or ""
    if isinstance(content, str):
        return content
    return " ".join(str(part.get("text", "")) for part in content if part.get("type") == "text")
