"""How the process's memory allocator treats the chunks of transfers.

glibc maps a buffer of 128 KiB or more anew each time and unmaps it when it is freed. Chunks of uploads and downloads
are such buffers: the kernel would zero a megabyte for every one of them, which costs more than all else about it.
"""

from __future__ import annotations

import ctypes

MIB = 1024 * 1024

# Of malloc.h.
M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3

LARGEST_REUSED = 32 * MIB
"""Buffers up to this size are used again; glibc refuses a larger value."""

KEPT_FREE = 64 * MIB
"""Free memory that the process keeps for the next buffers."""


def reuse_large_buffers() -> None:
    """Let freed buffers be used again instead of unmapping them. Does nothing where there is no glibc."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    mallopt(M_MMAP_THRESHOLD, LARGEST_REUSED)
    mallopt(M_TRIM_THRESHOLD, KEPT_FREE)
