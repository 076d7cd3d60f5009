"""`guarded`: a network and its detector as one, with a class "flagged", so that every attack goes through both."""

from __future__ import annotations

from collections.abc import Callable

from minidl import ops
from minidl.core import Array
from minidl.errors import DTypeError

from .density import KernelDensity


class Guarded:
    """K + 1 logits: those of the network, and one of the class K, "flagged".

        G_i = Z_i for i < K,   G_K = max_i Z_i + (threshold - log p(x))

    So class K is predicted exactly where the detector flags the image.  Attack it with `Targeted` goals at a wrong
    class: that is then predicted, and not flagged.  To an untargeted attack, an image that is flagged would be a
    success.

    detector: a `KernelDensity`, which has a network.

    Raises: `DTypeError` for anything else.
    Source: Carlini and Wagner 2017, "Adversarial examples are not easily detected", §4, with this difference instead of
    (D(x) + 1)·max_i Z_i, which supposes that the logits are above 0.

    >>> import numpy as np
    >>> from attacks.defences.density import KernelDensity
    >>> from attacks.defences.guarded import Guarded
    >>> centres = (np.array([[0.0]]), np.array([[2.0]]))
    >>> detector = KernelDensity(lambda x: np.concatenate([1 - x, x - 1], axis=1), lambda x: x, centres, 1.0, -1.0)
    >>> Guarded(detector)(np.array([[0.0], [3.0]])).argmax(axis=1)
    array([0, 2])
    """

    def __init__(self, detector: KernelDensity) -> None:
        if not isinstance(detector, KernelDensity):
            raise DTypeError(
                "guarded", "a KernelDensity", type(detector).__name__, "kernel_density(net, features, ...)"
            )
        self.detector = detector
        for name in ("input_shape", "dtype"):
            if hasattr(detector.network, name):
                setattr(self, name, getattr(detector.network, name))

    def __call__(self, x: Array) -> Array:
        """The logits (N, K + 1)."""
        logits = self.detector.network(x)
        largest = ops.max(logits, axis=1, keepdims=True)
        missing = self.detector.threshold - self.detector.scored(logits, x)
        return ops.concatenate([logits, largest + ops.reshape(missing, (-1, 1))], axis=1)

    def __repr__(self) -> str:
        return f"Guarded({self.detector!r})"


def guarded(detector: KernelDensity) -> Callable[[Array], Array]:
    """A network and its detector as one function, to be attacked.

    detector: as of `Guarded`.

    >>> import numpy as np
    >>> from attacks.defences.density import KernelDensity
    >>> from attacks.defences.guarded import guarded
    >>> detector = KernelDensity(lambda x: x, lambda x: x, (np.zeros((1, 2)), np.ones((1, 2))), 1.0)
    >>> guarded(detector)(np.zeros((3, 2))).shape
    (3, 3)
    """
    return Guarded(detector)
