"""What several test files share: approved texts, a strict stand-in for CuPy, an emulation of CUDA."""
