"""A wait belongs to the step that asks, says what may be answered and until when; attempts can be acknowledged.

Revision ID: 0002
Revises: 0001
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

CHANGES = """
alter table holdfast.approvals
    drop constraint approvals_pkey,
    add column id bigint generated always as identity primary key,
    add column step integer not null default 0,
    add column parameters jsonb,
    add column deadline timestamptz,
    add column default_decision jsonb,
    add constraint approvals_asked_once unique (run_id, tool_call_id, kind, step);
drop index holdfast.approvals_open;
create index approvals_open on holdfast.approvals (id) where decided_at is null;

alter table holdfast.attempts add column acknowledged boolean not null default false;
"""


def upgrade() -> None:
    op.execute(CHANGES)


def downgrade() -> None:
    raise RuntimeError("Migrations go forward only: restore a backup to go back.")
