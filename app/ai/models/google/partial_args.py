"""Arguments of a call that Gemini streams as the values of paths."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from typing import Any

_STEP = re.compile(r"""\.([^.\[\]]+)|\[(\d+)\]|\['([^']*)'\]|\["([^"]*)"\]""")
_VALUES = ("stringValue", "numberValue", "boolValue")


class PartialArgs:
    """Puts the arguments of a call together; text grows, everything else comes whole."""

    def __init__(self) -> None:
        self.args: dict[str, Any] = {}

    def take(self, pieces: Iterable[Mapping[str, Any]]) -> None:
        """Take pieces such as `{"jsonPath": "$.city", "stringValue": "Par", "willContinue": true}` in."""
        for piece in pieces:
            value = next((piece[name] for name in _VALUES if name in piece), None)
            steps = _steps(piece["jsonPath"])
            last = steps[-1]
            place: Any = self.args
            for step, following in pairwise(steps):
                place = _inside(place, step, list if isinstance(following, int) else dict)
            before = _inside(place, last, str)
            place[last] = before + value if isinstance(value, str) and isinstance(before, str) else value


def _steps(path: str) -> list[str | int]:
    steps: list[str | int] = []
    for found in _STEP.finditer(path.removeprefix("$")):
        name, index, *quoted = found.groups()
        steps.append(int(index) if index is not None else next(text for text in (name, *quoted) if text is not None))
    if not steps:
        raise ValueError(f"no path to an argument: {path!r}")
    return steps


def _inside(place: Any, step: str | int, empty: Callable[[], Any]) -> Any:
    """What stands there; something empty is put there if nothing does."""
    if isinstance(step, int):
        while len(place) <= step:
            place.append(empty())
        return place[step]
    return place.setdefault(step, empty())
