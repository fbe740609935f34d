"""Stored names are data: this file may only ever grow."""

from app.durable import names


def test_stored_names_are_what_they_have_always_been() -> None:
    assert names.APPLICATION == "holdfast"
    assert names.APPLICATION_VERSION == "holdfast-1"
    assert names.RUN_WORKFLOW == "holdfast.run"
    assert names.RUN_QUEUE == "runs"
    assert names.SERIALIZER == "holdfast_json_v1"
    assert names.EVENT_CHANNEL == "holdfast_events"
    assert names.WORKER_LOCK_NAMESPACE == 1215261796
    assert names.MODEL_STEP == "model"
    assert names.DECISION_STEP == "decision"
    assert names.MESSAGES_STEP == "messages"
    assert names.RETRY_AT == "retry_at"
    assert names.tool_step("add") == "tool:add"
    assert names.mcp_step("add") == "mcp:add"
    assert names.list_tools_step("time") == "list_tools:time"


def test_no_stored_name_has_been_removed() -> None:
    assert {"model", "tool", "mcp", "output", "decision", "callback", "list_tools"} <= set(names.STEP_KINDS)
    assert {"sampling", "messages"} <= set(names.STEP_KINDS)
    assert {"returned", "retry", "deferred", "failed", "unknown"} <= set(names.OUTCOMES)
    assert {
        "run_queued",
        "run_running",
        "run_waiting",
        "run_succeeded",
        "run_failed",
        "run_cancelled",
        "run_taken_over",
    } <= set(names.STATE_EVENTS)
    assert {
        "attempt",
        "part_start",
        "part_delta",
        "part_end",
        "final_result",
        "function_tool_call",
        "function_tool_result",
        "tool_progress",
    } <= set(names.STEP_EVENTS)
    assert {"run_cursors", "run_events", "attempts", "approvals", "idempotency_keys", "workers"} <= set(names.TABLES)
    assert "tool_definitions" in names.TABLES
    assert {"api_keys", "cooldowns", "agents", "sent_messages"} <= set(names.TABLES)
    assert {"message_sent", "message_taken"} <= set(names.MESSAGE_EVENTS)
    assert {"runs", "steps", "messages", "tool_calls"} <= set(names.VIEWS)
    assert {"approval", "external", "outcome_unknown", "input"} <= set(names.WAIT_KINDS)


def test_the_names_of_steps_stay() -> None:
    assert names.tool_step("pay") == "tool:pay"
    assert names.mcp_step("pay") == "mcp:pay"
    assert names.sampling_step("pay") == "sampling:pay"
    assert names.list_tools_step("bank") == "list_tools:bank"


def test_the_published_names_of_the_facade_stay() -> None:
    assert names.agent_run_workflow("a") == "a.run"
    assert names.agent_run_sync_workflow("a") == "a.run_sync"
    assert names.agent_model_step("a", "request") == "a__model.request"
    assert names.agent_model_step("a", "request_stream") == "a__model.request_stream"
    assert names.agent_mcp_step("a", "time", "get_tools") == "a__mcp_server__time.get_tools"
    assert names.agent_mcp_step("a", "time", "call_tool") == "a__mcp_server__time.call_tool"
