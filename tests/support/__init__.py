"""Helpers of several test files: approved texts, a strict stand-in for CuPy, an emulation of CUDA."""
