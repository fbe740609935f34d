"""Hooks as decorated functions, without a class of one's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar, overload

from app.ai.callbacks import call_user_function, function_name, resolve
from app.ai.capabilities.abstract import AbstractCapability
from app.ai.run_context import AgentDepsT, RunContext

if TYPE_CHECKING:
    from app.ai.capabilities.ordering import CapabilityOrdering
    from app.ai.messages import AgentStreamEvent

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])

_POINTS: Final = (
    "run",
    "node_run",
    "model_request",
    "tool_validate",
    "tool_execute",
    "output_validate",
    "output_process",
)
_METHODS: Final[Mapping[str, str]] = {
    **{f"before_{point}": f"before_{point}" for point in _POINTS},
    **{f"after_{point}": f"after_{point}" for point in _POINTS},
    **{point: f"wrap_{point}" for point in _POINTS},
    **{f"{point}_error": f"on_{point}_error" for point in _POINTS},
    "run_event_stream": "wrap_run_event_stream",
    "event": "wrap_run_event_stream",
    "prepare_tools": "prepare_tools",
    "prepare_output_tools": "prepare_output_tools",
    "deferred_tool_calls": "handle_deferred_tool_calls",
}
"""What registers a hook, and the method of a capability that it stands for; the method's own name will do too."""

_VALUES: Final[Mapping[str, str]] = {
    "before_node_run": "node",
    "before_model_request": "request_context",
    "before_tool_validate": "args",
    "before_tool_execute": "args",
    "before_output_validate": "output",
    "before_output_process": "output",
    "after_run": "result",
    "after_node_run": "result",
    "after_model_request": "response",
    "after_tool_validate": "args",
    "after_tool_execute": "result",
    "after_output_validate": "output",
    "after_output_process": "output",
    "prepare_tools": "tool_defs",
    "prepare_output_tools": "tool_defs",
    "wrap_node_run": "node",
    "wrap_model_request": "request_context",
    "wrap_tool_validate": "args",
    "wrap_tool_execute": "args",
    "wrap_output_validate": "output",
    "wrap_output_process": "output",
}
"""The argument that a hook gives back, changed or not, or that its handler takes."""

_POSITIONAL: Final = ("before_model_request", "prepare_tools", "prepare_output_tools")


class HookTimeoutError(TimeoutError):
    """A hook took longer than it may."""

    def __init__(self, hook_name: str, func_name: str, timeout: float):
        self.hook_name = hook_name
        self.func_name = func_name
        self.timeout = timeout
        super().__init__(f"Hook {hook_name!r} function {func_name!r} timed out after {timeout}s")


@dataclass
class _Hook:
    """One function that was registered."""

    name: str
    function: Callable[..., Any]
    timeout: float | None = None
    tools: frozenset[str] | None = None

    def applies(self, about: Mapping[str, Any]) -> bool:
        return self.tools is None or about["call"].tool_name in self.tools

    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        call = call_user_function(self.function, *args, **kwargs)
        if self.timeout is None:
            return await resolve(await call)
        limit = asyncio.timeout(self.timeout)
        try:
            async with limit:
                return await resolve(await call)
        except TimeoutError:
            if not limit.expired():
                raise
            raise HookTimeoutError(self.name, function_name(self.function), self.timeout) from None


class HookRegistration:
    """`hooks.on`: a decorator for each hook, such as `@hooks.on.before_run` or `@hooks.on.tool_execute(tools=[…])`."""

    def __init__(self, register: Callable[[str, _Hook], None]):
        self._register = register

    def __getattr__(self, name: str) -> _HookDecorator:
        if (method := _method_of(name)) is None:
            raise AttributeError(f"There is no hook {name!r}; there are {', '.join(_METHODS)}")
        return _HookDecorator(name, method, self._register)


class _HookDecorator:
    def __init__(self, name: str, method: str, register: Callable[[str, _Hook], None]):
        self._name = name
        self._method = method
        self._register = register

    @overload
    def __call__(self, func: FunctionT, /) -> FunctionT: ...
    @overload
    def __call__(
        self, /, *, timeout: float | None = None, tools: Sequence[str] | None = None
    ) -> Callable[[FunctionT], FunctionT]: ...

    def __call__(self, func: Any = None, /, *, timeout: float | None = None, tools: Sequence[str] | None = None) -> Any:
        if tools is not None and "_tool_" not in self._method.replace("deferred_tool", ""):
            raise TypeError(f"The hook {self._name!r} is about no tool, so it takes no `tools`")

        def register(function: Any) -> Any:
            chosen = None if tools is None else frozenset(tools)
            self._register(self._method, _Hook(self._name, function, timeout, chosen))
            return function

        return register if func is None else register(func)


def _method_of(name: str) -> str | None:
    return _METHODS.get(name) or (name if name in _METHODS.values() else None)


class Hooks(AbstractCapability[AgentDepsT]):
    """Hooks that are functions: decorate them with `hooks.on.…`, or give them by name when it is made.

    `before_…`, `after_…` and `…_error` stand for the methods of a capability of these names, the point itself (`run`,
    `model_request`, `tool_execute`, …) for what wraps it. Several functions for one hook run as they were registered.
    Functions may be sync or async.
    """

    def __init__(
        self, *, ordering: CapabilityOrdering | None = None, **hooks: Callable[..., Any] | Sequence[Callable[..., Any]]
    ):
        self._ordering = ordering
        self._hooks: dict[str, list[_Hook]] = {}
        self.on = HookRegistration(self._register)
        """Decorators that register a function as a hook."""
        for name, given in hooks.items():
            if _method_of(name) is None:
                raise TypeError(f"There is no hook {name!r}; there are {', '.join(_METHODS)}")
            for function in [given] if callable(given) else given:
                getattr(self.on, name)(function)

    @classmethod
    def get_serialization_name(cls) -> str | None:
        return None

    def get_ordering(self) -> CapabilityOrdering | None:
        return self._ordering

    def overrides(self, *hooks: str) -> bool:
        is_subclassed = any(getattr(type(self), hook) is not getattr(Hooks, hook) for hook in hooks)
        return is_subclassed or any(hook in self._hooks for hook in hooks)

    def wrap_run_event_stream(
        self, ctx: RunContext[AgentDepsT], *, stream: AsyncIterable[AgentStreamEvent]
    ) -> AsyncIterable[AgentStreamEvent]:
        for hook in reversed(self._hooks.get("wrap_run_event_stream", [])):
            stream = _each_event(hook, ctx, stream) if hook.name == "event" else hook.function(ctx, stream=stream)
        return stream

    def _register(self, method: str, hook: _Hook) -> None:
        self._hooks.setdefault(method, []).append(hook)

    async def _run(self, method: str, ctx: RunContext[Any], *args: Any, **about: Any) -> Any:
        hooks = [hook for hook in self._hooks.get(method, []) if hook.applies(about)]
        name = _VALUES.get(method)
        if args:
            about[name or ""] = args[0]
        if not hooks:
            return await getattr(super(), method)(ctx, *args, **{k: v for k, v in about.items() if not args})
        if method.startswith("wrap_"):
            return await self._wrap(hooks, name, ctx, about)
        if method.endswith("_error"):
            return await _recover(hooks, ctx, about)
        for hook in hooks:
            result = await (hook(ctx, about[name]) if name and method in _POSITIONAL else hook(ctx, **about))
            if name is not None:
                about[name] = result
            elif result is not None:
                return result
        return about[name] if name is not None else None

    @staticmethod
    async def _wrap(hooks: Sequence[_Hook], name: str | None, ctx: RunContext[Any], about: dict[str, Any]) -> Any:
        handler, value = about.pop("handler"), about.pop(name, None) if name else None
        if name is None:
            for hook in reversed(hooks):
                handler = partial(hook, ctx, handler=handler)
            return await handler()
        for hook in reversed(hooks):
            handler = partial(_wrapped, hook, ctx, name, handler, about)
        return await handler(value)


async def _wrapped(hook: _Hook, ctx: RunContext[Any], name: str, handler: Any, about: Any, value: Any) -> Any:
    return await hook(ctx, **about, **{name: value}, handler=handler)


async def _recover(hooks: Sequence[_Hook], ctx: RunContext[Any], about: dict[str, Any]) -> Any:
    error = about.pop("error")
    for hook in hooks:
        try:
            return await hook(ctx, **about, error=error)
        except Exception as other:
            error = other
    raise error


async def _each_event(
    hook: _Hook, ctx: RunContext[Any], stream: AsyncIterable[AgentStreamEvent]
) -> AsyncIterator[AgentStreamEvent]:
    async for event in stream:
        changed = await hook(ctx, event)
        yield event if changed is None else changed


def _method(name: str) -> Callable[..., Any]:
    async def run(self: Hooks[Any], ctx: RunContext[Any], *args: Any, **about: Any) -> Any:
        return await self._run(name, ctx, *args, **about)  # pyright: ignore[reportPrivateUsage] - a method of it

    run.__name__ = name
    return run


for _name in {*_METHODS.values()} - {"wrap_run_event_stream"}:
    setattr(Hooks, _name, _method(_name))
