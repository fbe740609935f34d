"""Tables of our own: events, attempts, approvals, idempotency keys, workers; indexes on DBOS tables.

Revision ID: 0001
Revises: None
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = """
create table holdfast.run_cursors (
    run_id text primary key,
    last_seq bigint not null
);

create table holdfast.run_events (
    run_id text not null,
    seq bigint not null,
    attempt integer,
    step integer,
    batch integer,
    type text not null,
    data jsonb not null default '{}'::jsonb,
    created_at timestamptz not null default clock_timestamp(),
    primary key (run_id, seq)
);

create table holdfast.attempts (
    run_id text not null,
    step integer not null,
    attempt integer not null,
    kind text not null,
    name text not null,
    executor_id text not null,
    owner text not null,
    tool_call_id text,
    input jsonb,
    started_at timestamptz not null default clock_timestamp(),
    primary key (run_id, step, attempt)
);

create table holdfast.approvals (
    run_id text not null,
    tool_call_id text not null,
    kind text not null check (kind in ('approval', 'external', 'outcome_unknown')),
    tool text not null,
    args jsonb,
    metadata jsonb,
    requested_at timestamptz not null default clock_timestamp(),
    decision jsonb,
    decided_at timestamptz,
    decided_by text,
    primary key (run_id, tool_call_id, kind)
);
create index approvals_open on holdfast.approvals (requested_at) where decided_at is null;

create table holdfast.idempotency_keys (
    api_key_id text not null default '',
    key text not null,
    request_hash text not null,
    run_id text not null,
    created_at timestamptz not null default clock_timestamp(),
    primary key (api_key_id, key)
);
create index idempotency_keys_created_at on holdfast.idempotency_keys (created_at);

create table holdfast.workers (
    executor_id text primary key,
    application_version text not null,
    host text not null,
    pid integer not null,
    started_at timestamptz not null default clock_timestamp(),
    heartbeat_at timestamptz not null default clock_timestamp()
);
"""

INDEXES = (
    """create index concurrently if not exists holdfast_runs_by_conversation
       on dbos.workflow_status ((attributes ->> 'conversation_id'), created_at) where name = 'holdfast.run'""",
    """create index concurrently if not exists holdfast_runs_by_agent
       on dbos.workflow_status ((attributes ->> 'agent'), created_at) where name = 'holdfast.run'""",
)


def upgrade() -> None:
    op.execute(TABLES)
    with op.get_context().autocommit_block():
        for statement in INDEXES:
            op.execute(statement)


def downgrade() -> None:
    raise RuntimeError("Migrations go forward only: restore a backup to go back.")
