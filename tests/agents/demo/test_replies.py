"""The rules of the demo model."""

from __future__ import annotations

from typing import Any

import pytest

from app.agents.demo.replies import HELP, Reply, reply

TOOLS = ["slow_lookup", "add", "get_current_time"]


def ask(prompt: str) -> list[tuple[str, dict[str, Any]]]:
    return [(call.tool, call.args) for call in reply([{"role": "user", "content": prompt}], TOOLS).calls]


@pytest.mark.parametrize(
    ("prompt", "calls"),
    [
        ("Look up Postgres.", [("slow_lookup", {"topic": "Postgres"})]),
        ("look up Postgres and DBOS", [("slow_lookup", {"topic": "Postgres"}), ("slow_lookup", {"topic": "DBOS"})]),
        ("look up 'kill -9' for 2.5 seconds", [("slow_lookup", {"topic": "kill -9", "seconds": 2.5})]),
        ("please add 2 and 3", [("add", {"a": 2.0, "b": 3.0})]),
        ("what is -1 + 4.5?", [("add", {"a": -1.0, "b": 4.5})]),
        ("What time is it?", [("get_current_time", {"timezone": "UTC"})]),
        ("What time is it in New York?", [("get_current_time", {"timezone": "America/New_York"})]),
        ("the time in asia/tokyo", [("get_current_time", {"timezone": "Asia/Tokyo"})]),
        (
            "Look up Postgres and add 2 and 3, and tell me the time in Paris.",
            [
                ("slow_lookup", {"topic": "Postgres"}),
                ("add", {"a": 2.0, "b": 3.0}),
                ("get_current_time", {"timezone": "Europe/Paris"}),
            ],
        ),
        (
            "What is 19 plus 23, and what do you know about durable agents?",
            [("slow_lookup", {"topic": "durable agents"}), ("add", {"a": 19.0, "b": 23.0})],
        ),
        ("hello", []),
    ],
)
def test_a_prompt_becomes_tool_calls(prompt: str, calls: list[tuple[str, dict[str, Any]]]) -> None:
    assert ask(prompt) == calls


def test_only_tools_on_offer_are_called_also_with_a_prefix() -> None:
    prompt = [{"role": "user", "content": "add 1 and 2, and what time is it"}]
    assert [call.tool for call in reply(prompt, ["clock_get_current_time"]).calls] == ["clock_get_current_time"]


def converse(prompt: str, results: list[str]) -> tuple[list[Reply], list[dict[str, Any]]]:
    messages: list[dict[str, Any]] = [{"role": "user", "content": [{"type": "text", "text": prompt}]}]
    replies: list[Reply] = []
    while not replies or replies[-1].calls:
        replies.append(reply(messages, TOOLS))
        calls = [
            {"id": call.id, "type": "function", "function": {"name": call.tool, "arguments": '{"a": 1}'}}
            for call in replies[-1].calls
        ]
        messages.append({"role": "assistant", "content": replies[-1].text, "tool_calls": calls or None})
        messages += [{"role": "tool", "tool_call_id": call["id"], "content": results.pop(0)} for call in calls]
    return replies, messages


def test_then_makes_one_request_after_the_other_and_ids_are_unique() -> None:
    replies, _ = converse("look up A and B, then add 1 and 2", ["a!", "b!", "3"])
    assert [len(each.calls) for each in replies] == [2, 1, 0]
    assert len({call.id for each in replies for call in each.calls}) == 3
    assert replies[-1].text.splitlines() == [
        "Here is what I found.",
        "- slow_lookup(a=1): a!",
        "- slow_lookup(a=1): b!",
        "- add(a=1): 3",
    ]


def test_a_second_prompt_in_the_conversation_is_answered_anew() -> None:
    _, messages = converse("add 1 and 2", ["3"])
    messages.append({"role": "user", "content": "add 4 and 5"})
    assert reply(messages, TOOLS).calls[0].args == {"a": 4.0, "b": 5.0}


def test_text_without_calls() -> None:
    assert reply([{"role": "user", "content": "count to 5"}], TOOLS) == Reply("1 2 3 4 5")
    assert HELP in reply([{"role": "user", "content": "hello"}], TOOLS).text
    assert reply([{"role": "system", "content": "be nice"}], []).text
