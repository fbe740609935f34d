"""What the workflows of a `DBOSAgent` are started with and what they return, as data.

Messages, usage and limits become JSON. Dependencies and outputs do where pydantic knows their type; anything else is
left to the serializer that the program gave to DBOS.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, is_typeddict

from pydantic import TypeAdapter
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError

from app.ai.agent import AbstractAgent, AgentSpec
from app.ai.deferred import DeferredToolResults
from app.ai.exceptions import UserError
from app.ai.mcp import MCPServer
from app.ai.messages import ModelMessagesTypeAdapter, UserContent
from app.ai.output_schema import output_schema
from app.ai.run import AgentRunResult
from app.ai.run_state import GraphAgentState
from app.ai.toolsets import as_toolset
from app.ai.usage import RunUsage, UsageLimits
from app.durable.dbos_internals import can_keep, keeps_objects

Record = dict[str, Any]

_usage: TypeAdapter[RunUsage] = TypeAdapter(RunUsage)
_ADAPTERS: Final[Mapping[str, TypeAdapter[Any]]] = {
    "user_prompt": TypeAdapter(str | Sequence[UserContent]),
    "message_history": ModelMessagesTypeAdapter,
    "deferred_tool_results": TypeAdapter(DeferredToolResults),
    "usage_limits": TypeAdapter(UsageLimits),
    "usage": _usage,
}
_OF_THIS_PROCESS: Final = frozenset({"model", "infer_name", "event_stream_handler"})
"""Arguments that a recovered run does not need: it has the agent's own."""
STREAMS: Final = "streams"
"""Whether a handler of its own reads the events of a run, which asks the model in other steps then."""
_RAW_DEPS: Final = "raw_deps"
"""Dependencies of another type than the agent's: JSON of that type would lose what they are."""


def input_record(agent: AbstractAgent[Any, Any], arguments: Mapping[str, Any]) -> Record:
    """The arguments of a run as its workflow stores them."""
    adapters = _adapters(agent)
    stored = {name: value for name, value in arguments.items() if value is not None and name not in _OF_THIS_PROCESS}
    if (handler := arguments.get("event_stream_handler")) is not None:
        stored |= _handler_record(handler)
    if "deps" in stored and not _is_exactly(stored["deps"], agent.deps_type):
        stored[_RAW_DEPS] = stored.pop("deps")
    if isinstance(spec := stored.get("spec"), AgentSpec):
        stored["spec"] = spec.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return {name: _dump(adapters.get(name), value) for name, value in stored.items()}


def _handler_record(handler: Any) -> Record:
    if not keeps_objects():
        return {STREAMS: True}
    if not can_keep(handler):
        raise UserError(
            "A recovered run could not find this event_stream_handler: give `run` a function of a module, or the "
            "DBOSAgent its handler"
        )
    return {"event_stream_handler": handler, STREAMS: True}


def check_toolsets(toolsets: Sequence[Any]) -> None:
    """Raises `UserError` for toolsets of one run that a recovery would not know."""
    servers: list[Any] = []
    for toolset in map(as_toolset, toolsets):
        toolset.apply(lambda leaf: servers.append(leaf) if isinstance(leaf, MCPServer) else None)
    if servers:
        raise UserError("MCP servers for one run would be stored with their secrets; give them to the wrapped agent")
    if toolsets and not can_keep(toolsets):
        raise UserError("A recovered run would not know these toolsets given to `run`; give them to the wrapped agent")


def read_input(agent: AbstractAgent[Any, Any], record: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that `input_record` stored."""
    adapters = _adapters(agent)
    arguments = {name: _validate(adapters.get(name), value) for name, value in record.items()}
    return {"deps": arguments.pop(_RAW_DEPS), **arguments} if _RAW_DEPS in arguments else arguments


def stored_result(result: AgentRunResult[Any], output_type: Any) -> AgentRunResult[Any] | Record:
    """What the workflow of a run returns: the result itself where DBOS can keep it, else its record."""
    return result if can_keep(result) else result_record(result, output_type)


def read_stored_result(stored: AgentRunResult[Any] | Record, output_type: Any) -> AgentRunResult[Any]:
    """The result that `stored_result` stored."""
    return stored if isinstance(stored, AgentRunResult) else read_result(stored, output_type)


def result_record(result: AgentRunResult[Any], output_type: Any) -> Record:
    """The result of a run as its workflow returns it."""
    return {
        "output": _dump(_output_adapter(output_type), result.output),
        "output_tool_name": result._output_tool_name,  # pyright: ignore[reportPrivateUsage] - no part of the API
        "output_tool_call_id": result._output_tool_call_id,  # pyright: ignore[reportPrivateUsage]
        "messages": ModelMessagesTypeAdapter.dump_python(result.all_messages(), mode="json"),
        "usage": _usage.dump_python(result.usage(), mode="json"),
        "metadata": result.metadata,
        "run_id": result.run_id,
        "conversation_id": result.conversation_id,
    }


def read_result(record: Mapping[str, Any], output_type: Any) -> AgentRunResult[Any]:
    """The result that `result_record` stored."""
    state = GraphAgentState(
        run_id=record["run_id"],
        conversation_id=record["conversation_id"],
        message_history=ModelMessagesTypeAdapter.validate_python(record["messages"]),
        usage=_usage.validate_python(record["usage"]),
        metadata=record["metadata"],
    )
    output = _validate(_output_adapter(output_type), record["output"])
    return AgentRunResult(output, record["output_tool_name"], record["output_tool_call_id"], state)


def _adapters(agent: AbstractAgent[Any, Any]) -> dict[str, TypeAdapter[Any] | None]:
    return {**_ADAPTERS, "deps": _adapter(agent.deps_type)}


def _is_exactly(value: Any, type_: Any) -> bool:
    return type(value) is type_ or not isinstance(type_, type) or is_typeddict(type_)


def _output_adapter(output_type: Any) -> TypeAdapter[Any] | None:
    return _adapter(output_schema(output_type).result_type)


def _adapter(type_: Any) -> TypeAdapter[Any] | None:
    try:
        return TypeAdapter(type_)
    except (PydanticSchemaGenerationError, PydanticUserError):
        return None


def _dump(adapter: TypeAdapter[Any] | None, value: Any) -> Any:
    return value if adapter is None else adapter.dump_python(value, mode="json", warnings=False)


def _validate(adapter: TypeAdapter[Any] | None, value: Any) -> Any:
    return value if adapter is None else adapter.validate_python(value)
