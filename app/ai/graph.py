"""The smallest state machine: a node runs and names its successor."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Generic

from typing_extensions import TypeVar

StateT = TypeVar("StateT", default=None)
DepsT = TypeVar("DepsT", default=None)
RunEndT = TypeVar("RunEndT", covariant=True, default=None)
EndDataT = TypeVar("EndDataT", covariant=True)


@dataclass
class End(Generic[EndDataT]):
    """The machine has stopped with this result."""

    data: EndDataT


@dataclass(kw_only=True)
class GraphRunContext(Generic[StateT, DepsT]):
    """What every node of one run is given."""

    state: StateT
    """What changes from node to node."""
    deps: DepsT
    """What was decided when the run began."""


class BaseNode(ABC, Generic[StateT, DepsT, RunEndT]):
    """One kind of work in the machine."""

    @abstractmethod
    async def run(self, ctx: GraphRunContext[StateT, DepsT]) -> BaseNode[StateT, DepsT, Any] | End[RunEndT]:
        """Do the work and return the node to run next; never run that node."""
        raise NotImplementedError
