"""The kernels as plain array code: what each computes, for any array library.  *The specification.*

Everything here takes and returns plain arrays, counts axes from the end, and finds its library from its arguments.  The
updates of the optimisers and of `tanh_adam` work in place; all others leave their arguments alone.  `cpu` and `cuda`
have files of the same names, with functions of the same names and signatures; what they leave out they take from here.

Reading order:
    draws              random numbers, a function of a key and a place alone
    dense              matrix products; bias, activation and dropout
    losses             softmax, cross-entropy and its gradient
    conv               convolution and pooling
    optim              the updates of SGD, RMSProp and Adam
    steps              the steps of FGSM, PGD and C&W
    pairs              the pixels that JSMA chooses
    evolution          mutations, and networks that paint
"""

from .conv import (  # noqa: F401
    argmax_windows,
    channel_sums,
    conv2d,
    conv2d_input,
    conv2d_max,
    conv2d_max_input,
    conv2d_max_weights,
    conv2d_weights,
    convolve_by_definition,
    max_windows,
    place_dtype,
    put_into_windows,
    spread_into_windows,
    sum_windows,
    take_from_windows,
)
from .dense import ACTIVATIONS, activate, activate_vjp, matmul, sigmoid, softplus  # noqa: F401
from .draws import dropout_mask, random_bits, random_signs, random_uniform  # noqa: F401
from .evolution import FUNCTIONS, cppn, polynomial_mutation  # noqa: F401
from .losses import cross_entropy, cross_entropy_gradient, log_softmax, softmax  # noqa: F401
from .optim import adam, penalised, penalty, rmsprop, sgd  # noqa: F401
from .pairs import best_features, best_pairs, best_pairs_by_definition, saliency  # noqa: F401
from .steps import gather, sign_step, tanh_adam  # noqa: F401
