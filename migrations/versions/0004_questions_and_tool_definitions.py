"""Runs can wait for input that a tool asks for; large listings of tools are kept once by their content.

Revision ID: 0004
Revises: 0003
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

CHANGES = """
alter table holdfast.approvals
    drop constraint approvals_kind_check,
    add constraint approvals_kind_check check (kind in ('approval', 'external', 'outcome_unknown', 'input'));

create table holdfast.tool_definitions (
    hash text primary key,
    definitions jsonb not null,
    created_at timestamptz not null default clock_timestamp()
);
"""


def upgrade() -> None:
    op.execute(CHANGES)


def downgrade() -> None:
    raise RuntimeError("Migrations go forward only: restore a backup to go back.")
