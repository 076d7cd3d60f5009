"""minidl: a deep-learning engine to read in an afternoon.

Reading order: core, ops, losses, derivatives (the engine); conv, layers, models, optim, schedules, train (networks);
evaluation, backend, kernels/reference, io, data (everything around them); testing (the laws, and rules of your own).
"""

from . import backend, data, layers, losses, models, numpy_calls, ops, optim, schedules, testing, train  # noqa: F401
from .core import Box, Node, Primitive, linearize
from .data import Dataset, load_digits
from .derivatives import batch_jacobian, grad, hvp, jacobian, value_and_grad
from .errors import BackendError, DataError, DTypeError, MinidlError, RangeError, ShapeError
from .io import load, save
from .models import Sequential
from .train import evaluate, fit

__version__ = "0.1.0"

__all__ = [
    "BackendError", "Box", "DTypeError", "DataError", "Dataset", "MinidlError", "Node", "Primitive", "RangeError",
    "Sequential", "ShapeError", "backend", "batch_jacobian", "data", "evaluate", "fit", "grad", "hvp", "jacobian",
    "layers", "linearize", "load", "load_digits", "losses", "models", "ops", "optim", "save", "schedules", "testing",
    "train", "value_and_grad",
]  # fmt: skip
