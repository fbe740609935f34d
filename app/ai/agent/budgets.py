"""How often the model may try again, by category."""

from __future__ import annotations

from app.ai.agent.options import AgentRetries
from app.ai.exceptions import UserError

_DEFAULT = 1


def agent_budgets(retries: int | AgentRetries | None) -> tuple[int, int]:
    """The budgets of tools and of outputs that an agent is given."""
    if isinstance(retries, int):
        return retries, retries
    budgets = retries or {}
    if unknown := sorted(budgets.keys() - {"tools", "output"}):
        raise UserError(f"`retries` knows the keys 'tools' and 'output', not {unknown}")
    return budgets.get("tools", _DEFAULT), budgets.get("output", _DEFAULT)


def output_budget_of_run(retries: int | AgentRetries | None, of_agent: int) -> int:
    """The budget of outputs in a run. Raises `UserError` if `retries` is about tools, too."""
    if isinstance(retries, int):
        return retries
    budgets = retries or {}
    if "tools" in budgets:
        raise UserError("The retries of tools cannot be changed for a run; set them on the agent, toolset or tool")
    return budgets.get("output", of_agent)
