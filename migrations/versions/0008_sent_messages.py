"""Messages that clients send to runs on their way; runs that are about to end take none.

Revision ID: 0008
Revises: 0007
"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

CHANGES = """
create table if not exists holdfast.sent_messages (
    message_id text primary key,
    run_id text not null,
    content jsonb not null,
    priority text not null check (priority in ('asap', 'when_idle')),
    sent_at timestamptz not null default clock_timestamp(),
    sent_by text not null,
    taken_at_step integer
);
create index if not exists sent_messages_run on holdfast.sent_messages (run_id, sent_at);

alter table holdfast.run_cursors add column if not exists closed boolean not null default false;
alter table holdfast.idempotency_keys add column if not exists message_id text;
"""


def upgrade() -> None:
    op.execute(CHANGES)


def downgrade() -> None:
    raise RuntimeError("Migrations go forward only: restore a backup to go back.")
