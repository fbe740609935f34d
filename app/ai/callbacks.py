"""Calling what users give us: functions that may be sync or async, and may or may not want the run's context."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

from app.ai.run_context import RunContext
from app.ai.threads import run_in_thread


def is_async(function: Callable[..., Any]) -> bool:
    """Whether calling `function` gives something to await, also for partials and callable objects."""
    while isinstance(function, partial):
        function = function.func
    # The type's method is what a call runs, for functions and for objects that can be called alike.
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


def function_name(function: Callable[..., Any]) -> str:
    """The name of a function, of the function in a partial, or of a callable object's type."""
    while isinstance(function, partial):
        function = function.func
    return getattr(function, "__name__", None) or type(function).__name__


async def call_user_function(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a user's function: await it if it is async, otherwise run it in a thread."""
    if is_async(function):
        return await function(*args, **kwargs)
    # A lambda around an async function does not look async.
    return await resolve(await run_in_thread(function, *args, **kwargs))


async def resolve(value: Any) -> Any:
    """The value itself, or what it gives when awaited. For quick predicates that need no thread."""
    return await value if inspect.isawaitable(value) else value


def wants_context(function: Callable[..., Any], *, other_arguments: int = 0) -> bool:
    """Whether `function` needs a context before its `other_arguments` positional ones."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:
        return False  # built in, such as int: it knows nothing of contexts
    required = [parameter for parameter in parameters if parameter.default is parameter.empty]
    return sum(parameter.kind in kinds for parameter in required) > other_arguments


async def call_with_optional_context(function: Callable[..., Any], ctx: RunContext[Any], *args: Any) -> Any:
    """Call a user's function with `args`, preceded by the context if it wants one."""
    arguments = (ctx, *args) if wants_context(function, other_arguments=len(args)) else args
    return await call_user_function(function, *arguments)
