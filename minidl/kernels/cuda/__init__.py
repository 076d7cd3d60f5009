"""The kernels for CuPy arrays: `kernels.cu`, in CUDA C++, and how each of its functions is called.

Each public function has the name and signature of its twin in `reference`, in the file of the same name, which says
what it computes.  Where CuPy is fast enough, `reference` is used.

Reading order:
    launch             how they are compiled and run
    draws              random numbers, a function of a key and a place alone
    dense              matrix products; bias, activation and dropout
    losses             softmax, cross-entropy and its gradient
    conv               convolution and pooling
    optim              the updates of SGD, RMSProp and Adam
    steps              the steps of FGSM, PGD and C&W
    pairs              the pixels that JSMA chooses
    evolution          mutations, and networks that paint
"""

from ..reference import (  # noqa: F401
    ACTIVATIONS,
    FUNCTIONS,
    best_pairs_by_definition,
    channel_sums,
    convolve_by_definition,
    log_softmax,
    matmul,
    penalised,
    penalty,
    place_dtype,
    random_bits,
    random_signs,
    random_uniform,
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
    conv2d,
    conv2d_input,
    conv2d_max,
    conv2d_max_input,
    conv2d_max_weights,
    conv2d_weights,
    max_windows,
    put_into_windows,
)
from .dense import activate, activate_vjp  # noqa: F401
from .draws import dropout_mask  # noqa: F401
from .evolution import cppn, polynomial_mutation  # noqa: F401
from .losses import cross_entropy, cross_entropy_gradient  # noqa: F401
from .optim import adam, rmsprop, sgd  # noqa: F401
from .pairs import best_features, best_pairs  # noqa: F401
from .steps import gather, sign_step, tanh_adam  # noqa: F401
