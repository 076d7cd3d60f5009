"""minidl: a deep-learning engine to read in an afternoon.

Reading order: core, ops, losses, derivatives (the engine); conv, layers, models, optim, train (networks);
evaluation, backend, kernels/reference, io, data (everything around them); testing (the laws).
"""

from . import backend, data, layers, losses, models, numpy_calls, ops, optim, testing, train  # noqa: F401
from .core import Box, Node, Primitive, linearize
from .derivatives import batch_jacobian, grad, hvp, jacobian, value_and_grad
from .errors import BackendError, DataError, DTypeError, MinidlError, RangeError, ShapeError
from .io import load, save

__version__ = "0.1.0"

__all__ = [
    "BackendError", "Box", "DTypeError", "DataError", "MinidlError", "Node", "Primitive", "RangeError", "ShapeError",
    "backend", "batch_jacobian", "data", "grad", "hvp", "jacobian", "layers", "linearize", "load", "losses", "models",
    "ops", "optim", "save", "testing", "train", "value_and_grad",
]  # fmt: skip
