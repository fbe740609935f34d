"""Pauses that providers ask for, shared by all workers; what an attempt without a record left behind.

Revision ID: 0005
Revises: 0004
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

CHANGES = """
create table holdfast.cooldowns (
    endpoint text primary key,
    until timestamptz not null,
    told_at timestamptz not null default clock_timestamp()
);

-- error: why the attempt ended, when a later one follows. handle: what a later one can pick the work up by.
alter table holdfast.attempts add column error jsonb, add column handle jsonb;
"""


def upgrade() -> None:
    op.execute(CHANGES)


def downgrade() -> None:
    raise RuntimeError("Migrations go forward only: restore a backup to go back.")
