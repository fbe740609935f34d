"""The smallest MCP server on stdio, of protocol 2025-11-25: fifty start within seconds. Its argument names its tool."""

import json
import sys
from typing import Any

TOOL = sys.argv[1]
SCHEMA = {"type": "object"}
ANSWERS: dict[str, Any] = {
    "initialize": {
        "protocolVersion": "2025-11-25",
        "capabilities": {"tools": {}},
        "serverInfo": {"name": "tiny", "version": "1"},
    },
    "tools/list": {"tools": [{"name": TOOL, "inputSchema": SCHEMA, "annotations": {"readOnlyHint": True}}]},
    "tools/call": {"content": [{"type": "text", "text": f"{TOOL} done"}]},
}

for line in sys.stdin:
    request = json.loads(line)
    if "id" not in request:
        continue
    answer = ANSWERS.get(request["method"])
    found = {"result": answer} if answer else {"error": {"code": -32601, "message": "Method not found"}}
    print(json.dumps({"jsonrpc": "2.0", "id": request["id"], **found}), flush=True)
