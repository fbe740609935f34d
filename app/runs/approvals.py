"""What runs wait for and how it is answered: approvals, input, results from outside, calls lost in a crash."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from sqlalchemy.ext.asyncio import AsyncEngine

from app.ai.mcp.questions import questions_in
from app.db import approvals, waits
from app.runs import refusals
from app.runs.arguments import check_answers, check_arguments
from app.runs.cursor import from_approval_cursor, to_approval_cursor
from app.runs.reach import answers_in_time
from app.runs.reading import read_run
from app.runs.records import Approval, ApprovalPage
from app.runs.requests import AnswerInput, Decide, ResumeRun


class Approvals:
    """The verbs on what runs wait for. Each decision is heard once; `by` is kept with it."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @answers_in_time
    async def list(self, status: str | None, *, cursor: str | None, limit: int) -> ApprovalPage:
        """A page of questions, newest first."""
        async with self._engine.connect() as connection:
            rows, end = await approvals.page_of_approvals(
                connection, status=status, before=from_approval_cursor(cursor), limit=limit
            )
        return ApprovalPage(approvals=[Approval.of(row) for row in rows], next_cursor=to_approval_cursor(end))

    @answers_in_time
    async def decide(self, run_id: str, tool_call_id: str, request: Decide, *, by: str) -> Approval:
        """Approve or deny a tool call; the run goes on when nothing else is open."""
        question = await self._open(run_id, tool_call_id)
        if question.kind == "input":
            raise refusals.needs_input(question)
        if question.kind != "approval":
            raise refusals.needs_a_result(question)
        if request.args is not None:
            check_arguments(request.args, question.parameters, question.tool)
        return await self._record(question, request.model_dump(exclude_none=True), by)

    @answers_in_time
    async def answer(self, run_id: str, tool_call_id: str, request: ResumeRun, *, by: str) -> Approval:
        """Say what came of a tool call, or let a lost one run again."""
        question = await self._open(run_id, tool_call_id)
        if question.kind == "approval":
            raise refusals.needs_an_approval(question)
        if question.kind == "input":
            raise refusals.needs_input(question)
        if request.run_again and question.kind != "outcome_unknown":
            raise refusals.cannot_run_again(question)
        return await self._record(question, request.as_decision(), by)

    @answers_in_time
    async def answer_input(self, run_id: str, tool_call_id: str, request: AnswerInput, *, by: str) -> Approval:
        """Answer what a tool call asks; a call that ended without the answers is made again with them."""
        question = await self._open(run_id, tool_call_id)
        asked = questions_in(question.metadata)
        if not asked:
            raise refusals.asks_nothing(question)
        answers = request.for_questions(asked)
        check_answers(answers, asked)
        decision: dict[str, Any] = {
            "answers": {name: answer.model_dump(exclude_none=True) for name, answer in answers.items()}
        }
        return await self._record(question, decision, by)

    async def _open(self, run_id: str, tool_call_id: str) -> Approval:
        question = await self._find(run_id, tool_call_id)
        if question is None or question.status == "closed":
            await self._refuse(run_id, tool_call_id)
        if question.status == "decided":
            raise refusals.already_decided(question)
        return question

    async def _record(self, question: Approval, decision: Mapping[str, Any], by: str) -> Approval:
        run_id, tool_call_id = question.run_id, question.tool_call_id
        wait = waits.Wait(tool_call_id, question.kind, question.tool)
        decided = await waits.decide(self._engine, run_id, wait, decision, decided_by=by)
        recorded = await self._find(run_id, tool_call_id)
        if recorded is None or decided in (waits.Decided.no_such_run, waits.Decided.run_not_waiting):
            await self._refuse(run_id, tool_call_id)
        if decided is waits.Decided.already_decided:
            raise refusals.already_decided(recorded)
        return recorded

    async def _find(self, run_id: str, tool_call_id: str) -> Approval | None:
        async with self._engine.connect() as connection:
            row = await approvals.find_approval(connection, run_id, tool_call_id)
        return None if row is None else Approval.of(row)

    async def _refuse(self, run_id: str, tool_call_id: str) -> NoReturn:
        async with self._engine.connect() as connection:
            run = await read_run(connection, run_id)
        raise refusals.run_not_waiting(run, tool_call_id)
