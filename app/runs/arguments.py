"""Checking what a person gives for a tool call, its arguments or answers to it, against a JSON schema."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from jsonschema import Draft202012Validator, SchemaError, ValidationError
from referencing import Registry
from referencing.exceptions import Unresolvable

from app.ai.mcp.questions import Question
from app.runs import refusals
from app.runs.requests import InputAnswer


def check_arguments(args: Mapping[str, Any], schema: Mapping[str, Any] | None, tool: str) -> None:
    """Raises `Invalid`, which names the argument, if the schema forbids `args`.

    A schema that is broken itself forbids nothing: the tool checks its arguments in any case.
    """
    if schema is not None and (error := _first_error(args, schema)) is not None:
        raise refusals.invalid_arguments(tool, "args" + _path(error), str(error.message))


def check_deps(deps: Mapping[str, Any] | None, schema: Mapping[str, Any] | None, agent: str) -> None:
    """Raises `Invalid`, which names the field, if the agent takes no deps, other ones, or needs some."""
    if schema is None:
        if deps is not None:
            raise refusals.takes_no_deps(agent)
        return
    try:
        error = _first_error(deps or {}, schema)
    except RecursionError:
        raise refusals.invalid_deps(agent, "deps", "they are nested too deeply to be checked") from None
    if error is not None:
        raise refusals.invalid_deps(agent, "deps" + _path(error), str(error.message))


def check_answers(answers: Mapping[str, InputAnswer], questions: Mapping[str, Question]) -> None:
    """Raises `Invalid`, which names the field, if a question has no answer or its schema forbids the one it has."""
    for name in [*questions, *answers]:
        if name not in questions or name not in answers:
            raise refusals.wrong_questions(name, questions)
    for name, question in questions.items():
        if question["mode"] == "form" and answers[name].action == "accept":
            error = _first_error(answers[name].content or {}, question.get("schema", {}))
            if error is not None:
                place = "content" if len(questions) == 1 else f"answers.{name}.content"
                raise refusals.invalid_answer(place + _path(error), str(error.message))


def _first_error(value: Mapping[str, Any], schema: Mapping[str, Any]) -> ValidationError | None:
    # With a registry of its own the validator looks up nothing outside the schema, and never in the network.
    validator: Any = Draft202012Validator(schema, registry=Registry[Any]())
    try:
        Draft202012Validator.check_schema(schema)
        errors: Iterator[ValidationError] = validator.iter_errors(value)
        return next(errors, None)
    except (SchemaError, Unresolvable):
        return None


def _path(error: ValidationError) -> str:
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path)
    if error.validator == "required":
        required = cast("list[str]", error.validator_value)
        present = cast("dict[str, Any]", error.instance)
        path += "." + next(name for name in required if name not in present)
    return path
