"""What else a server has: resources, and what they are read as."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from mcp.shared.exceptions import MCPError as SDKError
    from mcp_types import Annotations
    from mcp_types import Resource as SDKResource
    from mcp_types import ResourceTemplate as SDKResourceTemplate


class MCPError(RuntimeError):
    """A server answered a request with an error."""

    def __init__(self, message: str, code: int, data: Any = None):
        self.message = message
        self.code = code
        self.data = data
        super().__init__(message)

    @classmethod
    def of(cls, error: SDKError) -> Self:
        """The SDK's error as ours."""
        return cls(error.error.message, error.error.code, error.error.data)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.message, self.code, self.data)


@dataclass(kw_only=True)
class ResourceAnnotations:
    """Whom a resource is for, and how much it matters, from 0 to 1."""

    audience: list[str] | None = None
    priority: float | None = None


@dataclass(kw_only=True)
class _Described:
    name: str
    title: str | None = None
    description: str | None = None
    mime_type: str | None = None
    annotations: ResourceAnnotations | None = None
    metadata: dict[str, Any] | None = None


@dataclass(kw_only=True)
class Resource(_Described):
    """Something that a server lets its clients read."""

    uri: str
    size: int | None = None
    """In bytes, if known."""

    @classmethod
    def of(cls, resource: SDKResource) -> Self:
        """The SDK's resource as ours."""
        return cls(uri=str(resource.uri), size=resource.size, **_described(resource))


@dataclass(kw_only=True)
class ResourceTemplate(_Described):
    """Addresses of resources, with names in braces for what varies (RFC 6570)."""

    uri_template: str

    @classmethod
    def of(cls, template: SDKResourceTemplate) -> Self:
        """The SDK's template as ours."""
        return cls(uri_template=template.uri_template, **_described(template))


def _described(item: SDKResource | SDKResourceTemplate) -> dict[str, Any]:
    return {
        "name": item.name,
        "title": item.title,
        "description": item.description,
        "mime_type": item.mime_type,
        "annotations": _annotations(item.annotations),
        "metadata": dict(item.meta) if item.meta else None,
    }


def _annotations(given: Annotations | None) -> ResourceAnnotations | None:
    if given is None:
        return None
    return ResourceAnnotations(audience=list(given.audience) if given.audience else None, priority=given.priority)
