"""The supervisor's entry point: `python -m app.db.embedded`, started by `attach` only."""

from app.db.embedded.supervisor import main

main()
