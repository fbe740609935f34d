"""Toolsets: collections of tools, and wrappers that change how a run sees them."""

from .abstract import AbstractToolset, SchemaValidatorProt, ToolsetTool
from .wrapper import WrapperToolset

__all__ = ("AbstractToolset", "SchemaValidatorProt", "ToolsetTool", "WrapperToolset")
