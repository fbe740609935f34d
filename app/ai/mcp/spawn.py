"""Script: become the given command, and die with the process that started it.

`python spawn.py PARENT_PID COMMAND [ARGUMENT…]` (Linux). It imports nothing of ours, so that it starts in milliseconds.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, command, *arguments = sys.argv[1:]
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
    # The parent may have died before the line above; then nobody would ever send the signal.
    if os.getppid() != int(parent):
        sys.exit(1)
    try:
        os.execvp(command, [command, *arguments])
    except OSError as err:
        sys.exit(f"cannot execute {command!r}: {err.strerror}")


if __name__ == "__main__":
    main()
