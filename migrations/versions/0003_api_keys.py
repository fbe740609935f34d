"""API keys: what each may do, until when, and when it was used last. The keys themselves are not stored.

Revision ID: 0003
Revises: 0002
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLE = """
create table holdfast.api_keys (
    id text primary key,
    name text not null unique,
    secret_sha256 bytea not null,
    scopes text[] not null,
    created_at timestamptz not null default clock_timestamp(),
    expires_at timestamptz,
    revoked_at timestamptz,
    last_used_at timestamptz
);
"""


def upgrade() -> None:
    op.execute(TABLE)


def downgrade() -> None:
    raise RuntimeError("Migrations go forward only: restore a backup to go back.")
