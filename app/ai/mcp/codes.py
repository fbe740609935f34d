"""The JSON-RPC error codes that decide what a failed request means."""

from __future__ import annotations

from typing import Final

CONNECTION_CLOSED: Final = -32000
"""The connection broke while the request was under way (the SDK's code)."""
REQUEST_TIMEOUT: Final = -32001
"""No answer in time (the SDK's code)."""
REFUSED: Final = 1
"""The request was not carried out: nobody listened, or HTTP said no (ours; outside what JSON-RPC reserves)."""
SESSION_LOST: Final = 2
"""The request was not carried out: the server no longer knows our session (ours)."""
