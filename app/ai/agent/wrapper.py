"""An agent around another agent: the place to add to what agents do."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from types import TracebackType
from typing import Any, Self, overload

from typing_extensions import Unpack

from app.ai.agent.abstract import AbstractAgent, RunOutputDataT
from app.ai.agent.options import OverrideOptions, RunOptions
from app.ai.capabilities import CombinedCapability
from app.ai.event_stream import EventStreamHandler
from app.ai.messages import SystemPromptPart, UserContent
from app.ai.models import KnownModelName, Model
from app.ai.output import OutputDataT, OutputSpec
from app.ai.run import AgentRun
from app.ai.run_context import AgentDepsT
from app.ai.toolsets import AbstractToolset


class WrapperAgent(AbstractAgent[AgentDepsT, OutputDataT]):
    """Passes everything on to `wrapped`; override what shall differ."""

    def __init__(self, wrapped: AbstractAgent[AgentDepsT, OutputDataT]):
        self.wrapped = wrapped

    @property
    def model(self) -> Model | KnownModelName | str | None:
        return self.wrapped.model

    @property
    def name(self) -> str | None:
        return self.wrapped.name

    @name.setter
    def name(self, value: str | None) -> None:
        self.wrapped.name = value

    @property
    def description(self) -> str | None:
        return self.wrapped.description

    @property
    def deps_type(self) -> type:
        return self.wrapped.deps_type

    @property
    def output_type(self) -> OutputSpec[OutputDataT]:
        return self.wrapped.output_type

    @property
    def event_stream_handler(self) -> EventStreamHandler[AgentDepsT] | None:
        return self.wrapped.event_stream_handler

    @property
    def toolsets(self) -> Sequence[AbstractToolset[AgentDepsT]]:
        return self.wrapped.toolsets

    @property
    def root_capability(self) -> CombinedCapability[AgentDepsT]:
        return self.wrapped.root_capability

    def output_json_schema(self, output_type: OutputSpec[Any] | None = None) -> dict[str, Any]:
        return self.wrapped.output_json_schema(output_type)

    async def system_prompt_parts(self, **about: Any) -> list[SystemPromptPart]:
        return await self.wrapped.system_prompt_parts(**about)

    @overload
    def iter(
        self,
        user_prompt: str | Sequence[UserContent] | None = None,
        *,
        output_type: None = None,
        **options: Unpack[RunOptions[AgentDepsT]],
    ) -> AbstractAsyncContextManager[AgentRun[AgentDepsT, OutputDataT]]: ...
    @overload
    def iter(
        self,
        user_prompt: str | Sequence[UserContent] | None = None,
        *,
        output_type: OutputSpec[RunOutputDataT],
        **options: Unpack[RunOptions[AgentDepsT]],
    ) -> AbstractAsyncContextManager[AgentRun[AgentDepsT, RunOutputDataT]]: ...

    def iter(
        self,
        user_prompt: str | Sequence[UserContent] | None = None,
        *,
        output_type: OutputSpec[Any] | None = None,
        **options: Unpack[RunOptions[AgentDepsT]],
    ) -> AbstractAsyncContextManager[AgentRun[AgentDepsT, Any]]:
        self._infer_name(inspect.currentframe(), options)
        return self.wrapped.iter(user_prompt, output_type=output_type, **options)

    def override(self, **overrides: Unpack[OverrideOptions[AgentDepsT]]) -> AbstractContextManager[None]:
        return self.wrapped.override(**overrides)

    async def __aenter__(self) -> Self:
        await self.wrapped.__aenter__()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> bool | None:
        return await self.wrapped.__aexit__(exc_type, exc, tb)
