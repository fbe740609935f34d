"""A Postgres of our own, for a machine that has none.

    user ──socket──┐
    user ──socket──┤ supervisor ──forks──> postmaster ──> backends
    user ──socket──┘

`attach` starts the server of a project or joins the one that runs. Each user holds one connection to the supervisor's
control socket; the kernel closes it however the user dies, and when the last one is closed the supervisor stops
Postgres. A supervisor that dies takes Postgres along, and the first user to notice starts both again, same URL.
"""

from app.db.embedded.attachment import EmbeddedPostgres, attach
from app.db.embedded.places import EmbeddedPostgresError, packaged_program

__all__ = ["EmbeddedPostgres", "EmbeddedPostgresError", "attach", "packaged_program"]
