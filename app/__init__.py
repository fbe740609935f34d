"""Holdfast: a durable agent service on one Postgres."""
