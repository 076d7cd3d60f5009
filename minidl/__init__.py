"""minidl: a deep-learning engine to read in an afternoon.

Each file opens with what it is.  Where a file uses a later one, take its word for it until you get there.

Reading order:
    errors, core, directions, derivatives       the engine: one record, two walks, and what they are used for
    ops, shaping, reductions, products, conv    operations and their derivatives
    numpy_calls                                 NumPy and Python functions applied to what is being differentiated
    losses, layers                              what networks are made of
    sequential, ensemble, models                networks
    plan, fused                                 neighbouring layers computed as one
    optim, schedules, recipe, inputs, train     training; everything is checked before it begins
    history, evaluation                         what training and testing return
    data                                        data sets, each a folder, a download or your own arrays
    backend, kernels                            the array library, and the inner loops
    io, npz, files, identity                    networks and checkpoints on disk, without pickling
    progress, tables                            what a terminal and a notebook show
    testing                                     the laws of derivatives, and rules of your own in the engine
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
