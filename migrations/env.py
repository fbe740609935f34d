"""Alembic's entry: run the revisions on the connection that app.db.migrate hands over."""

from alembic import context
from sqlalchemy import Connection

connection = context.config.attributes.get("connection")
if not isinstance(connection, Connection):
    raise SystemExit("Run `holdfast migrate`: it takes the lock and migrates DBOS before our own tables.")

context.configure(
    connection=connection,
    version_table_schema="holdfast",
    transaction_per_migration=True,  # a revision may leave its transaction to build an index CONCURRENTLY
)
with context.begin_transaction():
    context.run_migrations()
