"""Memory that is used again: `keep_freed_memory` tells the C library not to hand freed arrays back to the system.

A step makes and frees the same few megabytes each time.  By default glibc gives arrays of that size back at once, and
the next step pays for fresh pages, about a third of its time.  What is held, up to 512 MB, was in use before.
"""

from __future__ import annotations

import ctypes
import os
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # from malloc.h
MEGABYTE = 2**20


def keep_freed_memory() -> bool:
    """Ask for it, for this process; whether it was granted.  Only glibc can; MINIDL_KEEP_MEMORY=0 leaves it alone."""
    if not sys.platform.startswith("linux") or os.environ.get("MINIDL_KEEP_MEMORY") == "0":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(M_MMAP_THRESHOLD, 32 * MEGABYTE)) and bool(mallopt(M_TRIM_THRESHOLD, 512 * MEGABYTE))
