"""Log messages of servers, in our log."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from mcp_types import LoggingMessageNotificationParams

logger = logging.getLogger(__name__)

WANTED_LEVEL: Final[Literal["info"]] = "info"
"""What servers are asked for where the protocol lets a client ask and the user does not say."""

_LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "notice": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_MAX_TEXT = 4000  # characters


def log_message(server: str, params: LoggingMessageNotificationParams) -> None:
    """Write a server's message to our log; the levels above `error` count as that."""
    level = _LEVELS.get(params.level, logging.ERROR)
    logger.log(level, "The MCP server %s says: %s", server, _text(params.data)[:_MAX_TEXT])


def _text(data: Any) -> str:
    return data if isinstance(data, str) else json.dumps(data, ensure_ascii=False, default=str)
