"""The kernels for CuPy arrays, in CUDA C++."""

from .conv import *  # noqa: F403
