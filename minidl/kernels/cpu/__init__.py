"""The kernels for NumPy arrays, compiled by Numba."""

from .dense import *  # noqa: F403
