"""The rules of the house that no linter knows: how long a file and a function may become."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILE_LINES = 500
FUNCTION_LINES = 60

# Path (and function) -> allowed lines, each with the reason beside it.
LONG_FILES: dict[str, int] = {}
LONG_FUNCTIONS: dict[str, int] = {}

MODULES = sorted((ROOT / "app").rglob("*.py"))


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_or_function_grows_past_its_limit(module: Path) -> None:
    name, source = str(module.relative_to(ROOT)), module.read_text()
    assert len(source.splitlines()) <= LONG_FILES.get(name, FILE_LINES), (
        f"{name} is too long: find the second noun in it"
    )
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            limit = LONG_FUNCTIONS.get(f"{name}:{node.name}", FUNCTION_LINES)
            assert lines <= limit, f"{name}:{node.lineno} {node.name} has {lines} lines, {limit} are allowed"


def test_the_exceptions_are_still_needed() -> None:
    stale = [name for name in LONG_FILES if len((ROOT / name).read_text().splitlines()) <= FILE_LINES]
    assert not stale
