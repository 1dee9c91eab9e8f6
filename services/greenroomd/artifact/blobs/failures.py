"""What an OSError of the blob folder means."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from greenroomd.artifact.errors import BlobStoreUnavailable, StorageFull

NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""A full disk, a used-up quota, a file larger than the file system or the process may have."""


@contextmanager
def translated() -> Iterator[None]:
    """Raise StorageFull or BlobStoreUnavailable instead of an OSError, which stays its cause."""
    try:
        yield
    except OSError as error:
        if error.errno in NO_SPACE:
            raise StorageFull from error
        raise BlobStoreUnavailable from error
