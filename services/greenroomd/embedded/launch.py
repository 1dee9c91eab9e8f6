"""Becomes another program that cannot outlive the process that started it. Run as a script, never imported.

    python -I -S launch.py PARENT_PID DEATH_SIGNAL UID GID PROGRAM ARGUMENT...

It is a program of its own because the same steps between fork and exec (`preexec_fn`) are unsafe in a process
with threads, which a gRPC server is. On Linux PROGRAM receives DEATH_SIGNAL when the thread that started it
ends; other systems have no such signal. Exit code 127, with the reason on stderr, when PROGRAM cannot be run.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> int:
    """Switch user, arm the death signal, turn into the program; returns only on failure."""
    parent, death_signal, uid, gid = (int(argument) for argument in arguments[:4])
    command = arguments[4:]
    # What this interpreter ignores and what the starter had blocked would be inherited through exec.
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        if os.geteuid() != uid:
            os.setgroups([])
            os.setgid(gid)
            os.setuid(uid)
        if sys.platform == "linux":
            # After setuid, which clears the setting.
            if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0) != 0:
                raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
            if os.getppid() != parent:
                return 0  # The starter died before the signal was armed: nobody wants this program any more.
        os.execv(command[0], command)  # noqa: S606 - no shell is the point
    except OSError as error:
        print(f"cannot run {command[0]} as user id {uid}: {error}", file=sys.stderr)  # noqa: T201 - into the server's log
    return 127


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
