"""Takeovers are found by time, for metrics: an index on those few events alone.

Revision ID: 0007
Revises: 0006
"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

INDEX = """create index concurrently if not exists run_events_taken_over
           on holdfast.run_events (created_at) where type = 'run_taken_over'"""


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute(INDEX)


def downgrade() -> None:
    raise RuntimeError("Migrations go forward only: restore a backup to go back.")
