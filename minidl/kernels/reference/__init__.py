"""The kernels as plain array code.  *The specification.*"""

from .dense import *  # noqa: F403
