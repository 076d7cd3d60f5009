"""`KernelDensity`: a detector of images whose features lie where those of the predicted class do not.

The density is a function of minidl operations, so that an attack can be differentiated through it (`guarded`).
scikit-learn chooses the bandwidth: ``pip install "minidl[black-box]"``, or give one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from minidl import ops
from minidl.backend import namespace, to_numpy
from minidl.core import Array, unbox
from minidl.data import Dataset
from minidl.errors import DTypeError, MissingPackageError, RangeError, ShapeError

from ..common.checks import check_counts, check_number, check_seed
from .roc import threshold_at

#: Bandwidths that cross-validation compares, in standard deviations of the features.
CANDIDATES = tuple(np.logspace(-1.5, 0.5, 9))


@dataclass(frozen=True, eq=False)
class KernelDensity:
    """The density of an image's features f(x) among those of training images of the class that is predicted for it.

        log p_k(x) = log (1/n) Σ_j exp(-‖f(x) - f(x_j)‖²/(2σ²)) - (d/2)·log(2πσ²),   over the n images x_j of class k

    network: a function from images (N, ...) to logits (N, K), built of minidl operations.
    features: a function from images to features (N, d), likewise.
    centres: for each class, the features of its training images (n, d).
    bandwidth: σ, above 0.
    threshold: images with a lower log density are flagged.

    Make one with `kernel_density`.
    Source: Feinman, Curtin, Shintre and Gardner 2017, §4.1, who write exp(-‖·‖²/σ²), and Billovits et al. 2016, whose
    features are the code of an autoencoder.

    >>> import numpy as np
    >>> from attacks.defences.density import KernelDensity
    >>> centres = (np.array([[0.0]]), np.array([[2.0]]))
    >>> detector = KernelDensity(lambda x: np.concatenate([1 - x, x - 1], axis=1), lambda x: x, centres, 1.0, -1.0)
    >>> detector.score(np.array([[0.0], [3.0]])).round(3), detector.flags(np.array([[0.0], [3.0]]))
    (array([-0.919, -1.419]), array([False,  True]))
    """

    network: Callable[[Array], Array]
    features: Callable[[Array], Array]
    centres: tuple[Array, ...]
    bandwidth: float
    threshold: float = -math.inf

    def log_densities(self, x: Array) -> Array:
        """log p_k(x) of every class: (N, K)."""
        points = self.features(x)
        lengths = ops.sum(points * points, axis=1, keepdims=True)
        return ops.stack([self._of_class(points, lengths, centres) for centres in self.centres], axis=1)

    def _of_class(self, points: Array, lengths: Array, centres: Array) -> Array:
        """The log density among some centres: (N,).  ‖a - b‖² = ‖a‖² - 2a·b + ‖b‖², at least 0."""
        squared = ops.maximum(lengths - 2 * ops.matmul(points, centres.T) + (centres * centres).sum(axis=1), 0)
        volume = math.log(len(centres)) + centres.shape[1] / 2 * math.log(2 * math.pi * self.bandwidth**2)
        return ops.logsumexp(squared / (-2 * self.bandwidth**2), axis=1) - volume

    def score(self, x: Array) -> Array:
        """The log density of each image among those of its predicted class: (N,).  Low is suspicious."""
        return self.scored(self.network(x), x)

    def scored(self, logits: Array, x: Array) -> Array:
        """The same, where the logits (N, K) are known."""
        predicted = unbox(logits).argmax(axis=1)
        of_predicted = namespace(predicted).arange(len(self.centres)) == predicted[:, None]
        return ops.sum(ops.where(of_predicted, self.log_densities(x), 0), axis=1)

    def flags(self, x: Array) -> Array:
        """Which images are flagged: (N,) bool."""
        return unbox(self.score(x)) < self.threshold

    def __repr__(self) -> str:
        counts = f"{len(self.centres)} classes of {min(map(len, self.centres))} to {max(map(len, self.centres))} points"
        return f"KernelDensity({counts}, bandwidth={self.bandwidth:.3g}, threshold={self.threshold:.4g})"


def kernel_density(
    network: Callable[[Array], Array],
    features: Callable[[Array], Array],
    dataset: Dataset,
    held_out: Dataset,
    *,
    false_positive_rate: float = 0.05,
    bandwidth: float | None = None,
    most: int = 500,
    seed: int = 0,
) -> KernelDensity:
    """A `KernelDensity` of training images, with its threshold from others.

    network: logits (N, K) of images, built of minidl operations.
    features: features (N, d) of images, such as ``net.up_to("relu3")``, the last hidden layer, or the code of an
    autoencoder.
    dataset: training images; each belongs to the class that is *predicted* for it.
    held_out: clean images that were not trained on, for the threshold.
    false_positive_rate: the share of them that may be flagged, from 0 to 1.
    bandwidth: σ, above 0.  None chooses it by cross-validation in five parts, by scikit-learn's likelihood.
    most: points kept for each class, drawn at random, at least 5.
    seed: a whole number, of that draw.

    Returns: a `KernelDensity`.
    Raises: `RangeError` for numbers out of range, or a class that is predicted for fewer than 5 images; `DTypeError`
    for anything but data sets; `ShapeError` for features of another shape; `MissingPackageError` without scikit-learn.

    >>> import numpy as np
    >>> from attacks.defences.density import kernel_density
    >>> from minidl import Dataset, models
    >>> x = np.random.default_rng(0).random((60, 1, 4, 4), dtype=np.float32)
    >>> net = models.mlp((1, 4, 4), 2, (8,), bias=True, seed=1)
    >>> data = Dataset(x, net(x).argmax(axis=1))
    >>> rest, held_out = data.take(range(40)), data.take(range(40, 60))
    >>> detector = kernel_density(net, net.up_to("relu1"), rest, held_out, bandwidth=1.0)
    >>> int(detector.flags(held_out.x).sum())
    1
    """
    for given in (dataset, held_out):
        if not isinstance(given, Dataset) or not len(given):
            raise DTypeError("kernel_density", "two data sets with images", repr(given))
    check_number("kernel_density", "false_positive_rate from 0 to 1", false_positive_rate, most=1)
    check_counts("kernel_density", least=5, most=most)
    check_seed("kernel_density", seed)
    if bandwidth is not None:
        check_number("kernel_density", "a bandwidth above 0, finite", bandwidth, but=0)
    points, logits = _of_all(features, dataset), _of_all(network, dataset)
    if points.ndim != 2:
        raise ShapeError("kernel_density", "features (N, d)", f"{points.shape}", "put a Flatten() last")
    classes, rng = to_numpy(logits.argmax(axis=1)), np.random.default_rng(seed)
    centres = []
    for k in range(logits.shape[1]):
        own = np.flatnonzero(classes == k)
        if len(own) < 5:
            raise RangeError("kernel_density", f"at least 5 images for which class {k} is predicted", f"{len(own)}")
        centres.append(points[namespace(points).asarray(np.sort(rng.permutation(own)[:most]))])
    width = float(bandwidth) if bandwidth is not None else cross_validated(centres)
    detector = KernelDensity(network, features, tuple(centres), width)
    suspicion = -_of_all(detector.score, held_out)
    return replace(detector, threshold=-threshold_at(suspicion, false_positive_rate))


def cross_validated(centres: list[Array]) -> float:
    """The bandwidth with the greatest likelihood of points that were left out, over all classes and five parts.

    centres: for each class, its points (n, d), at least 5.

    >>> import numpy as np
    >>> from attacks.defences.density import cross_validated
    >>> points = np.random.default_rng(0).normal(size=(100, 1))
    >>> bool(0.05 < cross_validated([points]) < 1)
    True
    """
    try:
        from sklearn.model_selection import cross_val_score
        from sklearn.neighbors import KernelDensity as Estimator
    except ImportError as error:
        fix = 'run pip install "minidl[black-box]", or pass bandwidth=...'
        raise MissingPackageError("kernel_density", "scikit-learn, to choose a bandwidth", str(error), fix) from error
    points = [to_numpy(each).astype(np.float64) for each in centres]
    deviation = float(np.concatenate(points).std()) or 1.0
    likelihoods = [
        sum(cross_val_score(Estimator(bandwidth=deviation * c), each, cv=5).sum() for each in points)
        for c in CANDIDATES
    ]
    return deviation * float(CANDIDATES[int(np.argmax(likelihoods))])


def _of_all(f: Callable[[Array], Array], dataset: Dataset) -> Array:
    """f(x) of all images x, run in batches."""
    return namespace(dataset.x).concatenate([f(x) for x, _ in dataset.batches(500)])
