"""The letters that the other pages share: f, a network as a function of one image; J, its loss; and the margin."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minidl import losses, ops
from minidl.core import Array

#: f: an image, of any shape, to its logits (K,).  Built of minidl operations, if the attack needs gradients.
Network = Callable[[Array], Array]


def one(net: Network) -> Network:
    """f(x) for one image x, of a network that takes batches.

    net: a network of batches (N, ...), for example a `minidl.Sequential`.

    >>> import numpy as np
    >>> from attacks import plain
    >>> from minidl import models
    >>> plain.one(models.mlp())(np.zeros(784, dtype=np.float32)).shape
    (10,)
    """
    return lambda x: net(x[None])[0]


def J(z: Array, y: int) -> Array:
    """J(θ, x, y) = -log p_y, of the logits z = f(x): the loss that training minimises."""
    return losses.cross_entropy(z, np.int64(y))


def margin(z: Array, y: int) -> Array:
    """max_{j≠y} z_j - z_y: above 0 if and only if another class than y is predicted."""
    return ops.max(z[[j for j in range(len(z)) if j != y]]) - z[y]
