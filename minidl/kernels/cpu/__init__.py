"""The kernels for NumPy arrays, compiled by Numba: fewer passes over memory than `reference` needs.

Each public function has the name and signature of its twin in `reference`, in the file of the same name, which says
what it computes; the loop that it calls stands above it.  A loop gets a range of rows (see `threads`), and computes
every row in one way, whatever the range.  What NumPy does well enough is taken from `reference`.

Reading order:
    compiled           how loops are compiled, and which arrays are left to `reference`
    draws              random numbers, a function of a key and a place alone
    dense              matrix products; bias, activation and dropout
    losses             softmax, cross-entropy and its gradient
    conv, conv_loops   convolution and pooling
    optim              the updates of SGD, RMSProp and Adam
    steps              the steps of FGSM, PGD and C&W
    pairs              the pixels that JSMA chooses
    evolution          mutations, and networks that paint
"""

import numba  # noqa: F401  so that importing these kernels fails without Numba

from ..memory import keep_freed_memory
from ..reference import (  # noqa: F401
    ACTIVATIONS,
    FUNCTIONS,
    best_pairs_by_definition,
    convolve_by_definition,
    gather,
    log_softmax,
    penalised,
    place_dtype,
    random_bits,
    random_signs,
    saliency,
    sigmoid,
    softmax,
    softplus,
    spread_into_windows,
    sum_windows,
    take_from_windows,
)
from .conv import (  # noqa: F401
    argmax_windows,
    channel_sums,
    conv2d,
    conv2d_input,
    conv2d_max,
    conv2d_max_input,
    conv2d_max_weights,
    conv2d_weights,
    max_windows,
    put_into_windows,
)
from .dense import activate, activate_vjp, matmul  # noqa: F401
from .draws import dropout_mask, random_uniform  # noqa: F401
from .evolution import cppn, polynomial_mutation  # noqa: F401
from .losses import cross_entropy, cross_entropy_gradient  # noqa: F401
from .optim import adam, penalty, rmsprop, sgd  # noqa: F401
from .pairs import best_features, best_pairs  # noqa: F401
from .steps import sign_step, tanh_adam  # noqa: F401

keep_freed_memory()
