"""Laws of the kernels: compiled ones and CUDA against the reference, and the reference against definitions."""
