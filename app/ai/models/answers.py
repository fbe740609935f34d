"""Reading what a provider answers: JSON of a known shape, or an error in any of the forms that providers use."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, ClassVar, TypeVar, cast

from pydantic import BaseModel, ValidationError

from app.ai.exceptions import ModelAPIError, ModelHTTPError, UnexpectedModelBehavior
from app.ai.retries import is_for_good, is_worth_retrying
from app.ai.stamps import now_utc


class ProviderAnswer(BaseModel):
    """The root of every shape that a provider answers in."""

    beside: ClassVar[frozenset[str]] = frozenset()
    """The fields that stand beside the answer itself: one of an unknown shape is passed over."""

    error: Any = None


AnswerT = TypeVar("AnswerT", bound=ProviderAnswer)

_STATUS_OF_ERROR: Mapping[str, int] = {
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "invalid_request_error": 400,
    "invalid_prompt": 400,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "insufficient_quota": 429,
    "api_error": 500,
    "server_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""The status that the same error has when it does not come inside an answer."""


def read_json(text: str, model_name: str) -> dict[str, Any]:
    """Parse an answer. An `error` object raises as the provider's error, anything else as UnexpectedModelBehavior."""
    try:
        data = json.loads(text)
    except ValueError as err:
        raise UnexpectedModelBehavior(f"{model_name} answered something that is no JSON", text[:2000]) from err
    if isinstance(data, list) and len(items := cast("list[Any]", data)) == 1:
        data = items[0]
    if not isinstance(data, dict):
        raise UnexpectedModelBehavior(f"{model_name} answered JSON of a wrong shape (no object)", text[:2000])
    answer = cast("dict[str, Any]", data)
    if error := answer.get("error"):
        raise error_in_answer(error, model_name)
    return answer


def read_answer(answer_type: type[AnswerT], text: str, model_name: str) -> AnswerT:
    """Parse an answer of a known shape; raises as `read_json` does."""
    # Straight from the text is twice as fast, which counts with thousands of pieces; the slow way tells what is wrong.
    with suppress(ValidationError):
        answer = answer_type.model_validate_json(text)
        if not answer.error:
            return answer
    data = read_json(text, model_name)
    try:
        return validated(answer_type, data)
    except ValidationError as err:
        wrong = "; ".join(f"{'.'.join(map(str, item['loc'])) or 'answer'}: {item['msg']}" for item in err.errors())
        raise UnexpectedModelBehavior(f"{model_name} answered JSON of a wrong shape ({wrong})", text[:2000]) from err


def validated(answer_type: type[AnswerT], data: dict[str, Any]) -> AnswerT:
    """Parse an answer that is JSON already. ValidationError if more than what stands beside it has a wrong shape."""
    try:
        return answer_type.model_validate(data)
    except ValidationError as err:
        wrong = {item["loc"][0] for item in err.errors() if item["loc"]}
        if not wrong or not wrong <= answer_type.beside:
            raise
        return answer_type.model_validate({key: value for key, value in data.items() if key not in wrong})


def read_pieces(answer_type: type[AnswerT], text: str, model_name: str) -> list[AnswerT]:
    """Parse an answer that may come as a list of its pieces; raises as `read_json` does."""
    if not text.lstrip().startswith("["):
        return [read_answer(answer_type, text, model_name)]
    with suppress(ValueError):
        return [read_answer(answer_type, json.dumps(piece), model_name) for piece in json.loads(text)]
    raise UnexpectedModelBehavior(f"{model_name} answered something that is no JSON", text[:2000])


def error_in_answer(error: Any, model_name: str) -> ModelAPIError:
    """The exception for an error that came with a status of success."""
    details = cast("dict[str, Any]", error) if isinstance(error, dict) else {"message": str(error)}
    for status in (details.get("status_code"), details.get("code")):
        if str(status).isdecimal() and 400 <= int(str(status)) < 600:
            return _http_error(int(str(status)), model_name, details)
    for name in (details.get("code"), details.get("type")):
        if isinstance(name, str) and name in _STATUS_OF_ERROR:
            return _http_error(_STATUS_OF_ERROR[name], model_name, details)
    return ModelAPIError(model_name, f"{model_name} answered with an error: {json.dumps(details)}")


def _http_error(status: int, model_name: str, details: dict[str, Any]) -> ModelHTTPError:
    error = ModelHTTPError(status, model_name, details)
    # The answer had begun, so the request was not tried again by itself. Nobody waits for a quota to be paid.
    if is_worth_retrying(status) and not is_for_good(json.dumps(details).encode()):
        error.retry_at = now_utc()
    return error


def error_body(text: str, request_id: str | None = None) -> Any:
    """What an answer with an error status says: its `error` object if it has one, with the request's id."""
    try:
        data: Any = json.loads(text)
    except ValueError:
        return text[:2000] or None
    if isinstance(data, list) and data:
        data = cast("list[Any]", data)[0]
    if not isinstance(data, dict):
        return cast("Any", data)
    answer = cast("dict[str, Any]", data)
    error: Any = answer.get("error", answer)
    request_id = answer.get("request_id") or request_id
    if request_id and isinstance(error, dict):
        return {**cast("dict[str, Any]", error), "request_id": request_id}
    return error
