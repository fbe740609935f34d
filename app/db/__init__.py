"""Everything that speaks SQL: engine, statements, migrations, and the embedded Postgres."""
