"""Every fixed English text that the core puts into messages.

Texts travel inside stored histories: a history written elsewhere may contain the first four, so they never change.
The others may, but not their number of words: it is the usage that models for tests estimate.
"""

from __future__ import annotations

from collections.abc import Sequence

FINAL_RESULT_PROCESSED = "Final result processed."
OUTPUT_TOOL_NOT_USED = "Output tool not used - a final result was already processed."
TOOL_NOT_EXECUTED = "Tool not executed - a final result was already processed."
TEST_MODEL_NO_TOOL_CALLS = "success (no tool calls)"

OUTPUT_TOOL_INVALID = "Output tool not used - arguments are invalid."
OUTPUT_TOOL_FAILED = "Output tool not used - its function has failed."
OUTPUT_TOOL_DESCRIPTION = "Give the final answer and end this run."
TOOL_CALL_DENIED = "This tool call was denied."
RETRY_INSTRUCTION = "Correct the problem and try again."
TOOL_OUTCOME_UNKNOWN = "Nobody knows whether this tool call was carried out."
INTERRUPTED_TOOL_CALL = "This tool call was not finished: the run was interrupted."


def output_retries_exceeded(max_retries: int) -> str:
    """Why a run fails when the model gave no valid output within its budget."""
    return f"The model gave no valid output within {max_retries} output retries"


def tool_retries_exceeded(tool_name: str, max_retries: int) -> str:
    """Why a run fails when a tool was called wrongly too often."""
    return f"Tool {tool_name!r} has used up its {max_retries} retries"


def tool_timed_out(seconds: float) -> str:
    """What the model reads when a tool took too long."""
    return f"Timed out after {seconds} seconds."


def unknown_tool(tool_name: str, available: Sequence[str]) -> str:
    """What the model reads when it called a tool that does not exist."""
    choice = f"Available tools: {', '.join(repr(name) for name in available)}" if available else "None are available"
    return f"No tool named {tool_name!r}. {choice}."


def no_action(actions: Sequence[str]) -> str:
    """What the model reads when its answer was neither an output nor a tool call, such as `return text`."""
    return f"Please {' or '.join(actions)}."
