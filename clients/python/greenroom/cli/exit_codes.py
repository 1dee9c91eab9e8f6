"""What the exit code of `greenroom` says.

0    done; also a transition that was left PENDING, unless `--require-complete`
1    anything else: a defect of the server, a call it does not know
2    wrong usage or a request that is wrong whatever the state of the system
3    what was named does not exist
4    the state of the system does not allow it; also a PENDING transition with `--require-complete`
5    somebody else was faster, or what should be created exists
6    no usable credential, or no permission
7    the server cannot be reached or did not answer in time
8    bytes, a manifest or a file name failed verification
9    a quota, a full disk, a reader that is too slow
130  interrupted with Ctrl-C
141  the reader of the output went away
"""

from __future__ import annotations

from greenroom import errors

OK = 0
FAILED = 1
USAGE = 2
NOT_FOUND = 3
PRECONDITION = 4
CONFLICT = 5
DENIED = 6
UNAVAILABLE = 7
VERIFICATION = 8
EXHAUSTED = 9
INTERRUPTED = 130
BROKEN_PIPE = 141

# The first class that fits counts, so the narrower come first.
_BY_CLASS: tuple[tuple[type[errors.GreenroomError], int], ...] = (
    (errors.UnsafePath, VERIFICATION),
    (errors.ManifestInvalid, VERIFICATION),
    (errors.UploadDigestMismatch, VERIFICATION),
    (errors.InvalidArgument, USAGE),
    (errors.OutOfRange, USAGE),
    (errors.NotFound, NOT_FOUND),
    (errors.FailedPrecondition, PRECONDITION),
    (errors.Aborted, CONFLICT),
    (errors.AlreadyExists, CONFLICT),
    (errors.PermissionDenied, DENIED),
    (errors.Unauthenticated, DENIED),
    (errors.Unavailable, UNAVAILABLE),
    (errors.DeadlineExceeded, UNAVAILABLE),
    (errors.DataLoss, VERIFICATION),
    (errors.ResourceExhausted, EXHAUSTED),
)


def exit_code(error: errors.GreenroomError) -> int:
    """Return the exit code for a failure."""
    return next((code for kind, code in _BY_CLASS if isinstance(error, kind)), FAILED)
