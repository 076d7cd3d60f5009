"""One step against a linear classifier: against the weights of the class that it predicts (Papernot et al. 2016)."""

from __future__ import annotations

import numpy as np

from minidl import grad
from minidl.core import Array

from .notation import Network


def svm_step(f: Network, x: Array, epsilon: float = 5.0) -> Array:
    """x' = x - ε·w_k/‖w_k‖₂, where k is the predicted class and w_k = ∂f_k/∂x.

    f, x: the network, linear in the paper, and an image.
    epsilon: the length of the step.

    >>> import numpy as np
    >>> from attacks import plain
    >>> plain.svm_step(lambda x: x @ np.array([[1.0, 0.0], [0.0, 2.0]]), np.array([0.5, 0.5]), epsilon=0.2)
    array([0.5, 0.3])
    """
    k = int(f(x).argmax())
    w = grad(lambda x: f(x)[k], x)
    return np.clip(x - epsilon * w / np.linalg.norm(w), 0, 1)
