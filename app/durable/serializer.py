"""How values become the text that DBOS stores: JSON that a person can read with `psql`, never pickle.

Values outside JSON carry a type tag from a closed list: bytes, exceptions, and dates. Nothing is
imported or constructed by name on the way back.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final, cast
from uuid import UUID

from dbos import Serializer
from pydantic_core import to_jsonable_python

from app.durable.failures import RunError, storable
from app.durable.names import SERIALIZER

_TAG: Final = "$type"


class HoldfastSerializer(Serializer):
    """DBOS serializer `holdfast_json_v1`. The name is stored with each row and never changes."""

    def name(self) -> str:
        return SERIALIZER

    def serialize(self, data: Any) -> str:
        return dumps(data)

    def deserialize(self, serialized_data: str) -> Any:
        return loads(serialized_data)


def dumps(value: Any) -> str:
    """JSON text of `value`. Raises ValueError (NaN, infinity, cycles) or TypeError (not JSON)."""
    return json.dumps(_encoded(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def loads(text: str) -> Any:
    """The value of a text that `dumps` made; exceptions come back as `RunError`."""
    return _decoded(json.loads(text))


def to_json(value: Any) -> Any:
    """Plain JSON data of what users' code returned: pydantic models, dataclasses, dates, bytes (base64).

    Raises ValueError or TypeError for what JSON cannot hold (NaN, open files, functions).
    """
    plain = to_jsonable_python(value, by_alias=True, bytes_mode="base64", inf_nan_mode="constants")
    json.dumps(plain, allow_nan=False)
    return plain


def sanitized(value: Any) -> tuple[Any, bool]:
    """`value` with what Postgres cannot hold in jsonb (NUL, lone surrogates) as U+FFFD, and whether there was any."""
    if isinstance(value, str):
        clean = storable(value)
        return clean, clean != value
    if isinstance(value, Mapping):
        pairs = [(sanitized(key), sanitized(item)) for key, item in cast("Mapping[Any, Any]", value).items()]
        return {key: item for (key, _), (item, _) in pairs}, any(k or i for (_, k), (_, i) in pairs)
    if isinstance(value, list | tuple):
        items = [sanitized(item) for item in cast("Sequence[Any]", value)]
        return [item for item, _ in items], any(changed for _, changed in items)
    return value, False


def _encoded(value: Any) -> Any:
    if isinstance(value, str):
        return storable(value)
    if value is None or isinstance(value, int | float):
        return value
    if isinstance(value, Mapping):
        fields = {_key(key): _encoded(item) for key, item in cast("Mapping[Any, Any]", value).items()}
        return {_TAG: "object", "fields": fields} if _TAG in fields else fields
    if isinstance(value, list | tuple | set | frozenset):
        return [_encoded(item) for item in cast("Iterable[Any]", value)]
    return _tagged(value)


def _tagged(value: Any) -> Any:
    match value:
        case bytes():
            return {_TAG: "bytes", "base64": base64.b64encode(value).decode("ascii")}
        case BaseException():
            return {_TAG: "error", **RunError.of(value).as_json()}
        case datetime() | date():
            return {_TAG: type(value).__name__, "iso": value.isoformat()}
        case UUID() | Decimal():
            return str(value)
        case _:
            raise TypeError(
                f"{type(value).__name__} is not JSON; return str, numbers, lists, dicts or a pydantic model"
            )


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise TypeError(f"JSON object keys are strings, got {type(key).__name__}")
    return key


def _decoded(value: Any) -> Any:
    if isinstance(value, list):
        return [_decoded(item) for item in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    fields = cast("dict[str, Any]", value)
    decode = _DECODERS.get(fields.get(_TAG, ""), _decoded_fields)
    return decode(fields)


def _decoded_fields(fields: dict[str, Any]) -> dict[str, Any]:
    return {key: _decoded(item) for key, item in fields.items()}


_DECODERS: Final[dict[str, Callable[[dict[str, Any]], Any]]] = {
    "bytes": lambda fields: base64.b64decode(fields["base64"]),
    "date": lambda fields: date.fromisoformat(fields["iso"]),
    "datetime": lambda fields: datetime.fromisoformat(fields["iso"]),
    "error": RunError.from_json,
    "object": lambda fields: _decoded_fields(fields["fields"]),
}
