"""`keep_freed_memory`: the C library keeps the memory of freed arrays, and reuses it.

A step makes and frees the same few megabytes each time.  By default glibc returns them to the system at once,
and new pages take about a third of the next step's time.  At most 512 MB are kept.
"""

from __future__ import annotations

import ctypes
import os
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # from malloc.h
MEGABYTE = 2**20


def keep_freed_memory() -> bool:
    """Keep freed memory in this process; True if it worked.  Only glibc can; MINIDL_KEEP_MEMORY=0 switches it off."""
    if not sys.platform.startswith("linux") or os.environ.get("MINIDL_KEEP_MEMORY") == "0":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(M_MMAP_THRESHOLD, 32 * MEGABYTE)) and bool(mallopt(M_TRIM_THRESHOLD, 512 * MEGABYTE))
