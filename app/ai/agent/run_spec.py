"""Agent specs that are given to a run, or to `Agent.override`."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from functools import partial
from typing import Any, Final, cast

from app.ai.agent.capabilities import AgentCapabilities
from app.ai.agent.options import OverrideOptions, RunOptions
from app.ai.agent.spec import AgentSpec
from app.ai.callbacks import resolve
from app.ai.instructions import Instructions
from app.ai.run_context import RunContext
from app.ai.run_state import merged_settings

_ONLY_FOR_NEW_AGENTS: Final = (
    "retries",
    "tool_retries",
    "output_retries",
    "end_strategy",
    "tool_timeout",
    "output_schema",
    "instrument",
)


def run_options_with_spec(options: RunOptions[Any], deps_type: type[Any]) -> RunOptions[Any]:
    """The options of a run with what its spec adds; what is given beside the spec wins, or comes after it."""
    spec = _read(options.get("spec"), "run")
    if spec is None:
        return options
    merged: dict[str, Any] = {name: value for name, value in options.items() if name != "spec"}
    if merged.get("model") is None and spec.model is not None:
        merged["model"] = spec.model
    if own := spec.all_instructions(deps_type):
        given = Instructions.of(merged.get("instructions"))
        merged["instructions"] = [*own, *given.literals, *given.functions]
    if spec.model_settings is not None:
        layers = [layer for layer in (spec.model_settings, merged.get("model_settings")) if layer is not None]
        merged["model_settings"] = partial(merged_settings, cast("Any", layers)) if len(layers) > 1 else layers[0]
    if spec.metadata is not None:
        merged["metadata"] = partial(_merged_metadata, spec.metadata, merged.get("metadata"))
    merged["capabilities"] = [*spec.all_capabilities(deps_type), *(merged.get("capabilities") or ())]
    return cast("RunOptions[Any]", merged)


def overrides_with_spec(overrides: OverrideOptions[Any], deps_type: type[Any]) -> Mapping[str, Any]:
    """The overrides with what their spec says where they say nothing; its capabilities take the place of all."""
    spec = _read(overrides.get("spec"), "override")
    given = {name: value for name, value in overrides.items() if name != "spec"}
    if spec is None:
        return given
    from_spec: dict[str, Any] = {
        "name": spec.name,
        "model": spec.model,
        "instructions": spec.all_instructions(deps_type) or None,
        "model_settings": spec.model_settings,
        "metadata": spec.metadata,
    }
    if spec.capabilities:
        from_spec["_capabilities"] = AgentCapabilities(spec.all_capabilities(deps_type))
    return {**{name: value for name, value in from_spec.items() if value is not None}, **given}


def _read(given: Mapping[str, Any] | AgentSpec | None, method: str) -> AgentSpec | None:
    if given is None:
        return None
    spec = given if isinstance(given, AgentSpec) else AgentSpec.from_dict(given)
    if ignored := [name for name in _ONLY_FOR_NEW_AGENTS if name in spec.model_fields_set]:
        warnings.warn(f"A spec given to `{method}` cannot change {', '.join(ignored)}: these are ignored", stacklevel=4)
    return spec


async def _merged_metadata(of_spec: dict[str, Any], given: Any, ctx: RunContext[Any]) -> dict[str, Any]:
    return {**of_spec, **((await resolve(given(ctx)) if callable(given) else given) or {})}
