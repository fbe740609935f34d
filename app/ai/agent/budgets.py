"""How often the model may try again, by category."""

from __future__ import annotations

from typing import Any

from app.ai.agent.options import AgentRetries
from app.ai.checks import expect
from app.ai.exceptions import UserError

_DEFAULT = 1


def agent_budgets(retries: int | AgentRetries | None) -> tuple[int, int]:
    """The budgets of tools and of outputs that an agent is given."""
    if isinstance(retries, int):
        return _checked(retries), retries
    budgets = retries or {}
    expect("retries", budgets, "a number or a dict", dict)
    if unknown := sorted(budgets.keys() - {"tools", "output"}):
        raise UserError(f"`retries` knows the keys 'tools' and 'output', not {unknown}")
    return _checked(budgets.get("tools", _DEFAULT)), _checked(budgets.get("output", _DEFAULT))


def output_budget_of_run(retries: int | AgentRetries | None, of_agent: int) -> int:
    """The budget of outputs in a run. Raises `UserError` if `retries` is about tools, too."""
    if isinstance(retries, int):
        return _checked(retries)
    budgets = retries or {}
    expect("retries", budgets, "a number or a dict", dict)
    if "tools" in budgets:
        raise UserError("The retries of tools cannot be changed for a run; set them on the agent, toolset or tool")
    return _checked(budgets.get("output", of_agent))


def _checked(budget: Any) -> int:
    if not isinstance(budget, int) or budget < 0:
        raise UserError(f"`retries` takes numbers from 0 on, not {budget!r}")
    return budget
