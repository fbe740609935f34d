"""Agents that came over HTTP, each version of them.

Revision ID: 0006
Revises: 0005
"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TABLES = """
create table holdfast.agents (
    name text not null,
    version integer not null check (version > 0),
    spec jsonb not null,
    created_at timestamptz not null default clock_timestamp(),
    created_by text not null,
    primary key (name, version)
);
"""


def upgrade() -> None:
    op.execute(TABLES)


def downgrade() -> None:
    raise RuntimeError("Migrations go forward only: restore a backup to go back.")
