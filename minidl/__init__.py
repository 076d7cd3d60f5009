"""minidl: a deep-learning engine to read in an afternoon.

Each file opens with what it is.  Where a file uses a later one, take its word for it until you get there.

Reading order:
    errors, core, directions, derivatives       the engine: one record, two walks, and what they are used for
    ops, shaping, reductions, products, conv    operations and their derivatives
    numpy_calls                                 NumPy and Python functions applied to what is being differentiated
    losses, described, layers                   what networks are made of
    sequential, ensemble, models                networks
    plan, fused                                 neighbouring layers computed as one
    optim, schedules, recipe, inputs, train     training; everything is checked before it begins
    objectives                                  what is minimised where that is not a loss of logits
    history, evaluation                         what training and testing return
    data                                        data sets, each a folder, a download or your own arrays
    backend, kernels, draws                     the array library, the inner loops, and normal random numbers
    io, npz, files, identity                    networks and checkpoints on disk, without pickling
    progress, tables                            what a terminal and a notebook show
    testing                                     the laws of derivatives, and rules of your own in the engine
    coursework                                  tasks for students, and how they are checked
"""

from . import (  # noqa: F401
    backend,
    data,
    layers,
    losses,
    models,
    numpy_calls,
    objectives,
    ops,
    optim,
    schedules,
    testing,
    train,
)
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
    "layers", "linearize", "load", "load_digits", "losses", "models", "objectives", "ops", "optim", "save", "schedules",
    "testing", "train", "value_and_grad",
]  # fmt: skip
