"""The techniques of machine learning that Papernot et al. compare, each with its own attack, and an ensemble of them.

scikit-learn trains all but the network.  It is needed here only: ``pip install "minidl[black-box]"``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from minidl import models
from minidl.backend import to_numpy
from minidl.core import Array
from minidl.data import Dataset
from minidl.errors import DTypeError, MissingPackageError, RangeError, ShapeError
from minidl.optim import Adam
from minidl.train import fit

from ..bounded.fgsm import fgsm
from ..common.result import AttackResult
from .linear import linear_network, svm_step
from .neighbours import SoftNeighbours
from .oracle import Oracle
from .tree_attack import tree_attack

NEIGHBOURS = 5

#: By its name in the paper, what each technique is.
TECHNIQUES = {
    "DNN": "deep neural network",
    "LR": "logistic regression",
    "SVM": "linear support vector machine",
    "DT": "decision tree",
    "kNN": "k nearest neighbours",
}


@dataclass(frozen=True, eq=False)
class Technique:
    """A trained model of one technique.

    name: "DNN", "LR", "SVM", "DT" or "kNN".
    model: the network, or scikit-learn's classifier.
    network: what its attack differentiates, with logits (N, K): the network, a linear classifier as a network, or
    `SoftNeighbours`.  None for a tree.
    classes: K.

    >>> import numpy as np
    >>> from attacks.black_box.techniques import train
    >>> from minidl import Dataset
    >>> x = np.random.default_rng(0).random((20, 1, 28, 28), dtype=np.float32)
    >>> dnn = train("DNN", Dataset(x, np.arange(20) % 10), epochs=1)
    >>> dnn.oracle().predict(x).shape
    (20,)
    """

    name: str
    model: Any
    network: Any
    classes: int

    def __repr__(self) -> str:
        return f"Technique({self.name})"

    def predict(self, x: Array) -> Array:
        """The labels (N,) of images x (N, ...)."""
        if self.name == "DNN":
            return self.model(x).argmax(axis=-1)
        rows = to_numpy(x).reshape(len(x), prod(x.shape[1:]))
        return self.model.predict(rows) if len(x) else np.zeros(0, np.int64)

    __call__ = predict  # so that it is a function of images for `Oracle`

    def oracle(self, **options: Any) -> Oracle:
        """An `Oracle` of its labels.

        options: of `Oracle`, such as ``budget=1000``.
        """
        return Oracle(self, classes=self.classes, **options)

    def attack(
        self, x: Array, goal: Any, *, epsilon: float = 0.3, length: float = 5.0, norm: str = "linf"
    ) -> AttackResult:
        """The paper's attack on this technique.

        x: images (N, ...), with pixels from 0 to 1.
        goal: labels (N,), or a `Goal`.
        epsilon: of FGSM, on DNN, LR and kNN.
        length: of `svm_step`, in L2.
        norm: of FGSM.

        Returns: an `AttackResult`.  That of kNN is about its stand-in, `SoftNeighbours`: `clean_pred`, `adv_pred` and
        `success` are the stand-in's.
        """
        if self.name == "SVM":
            return svm_step(self.network, x, goal, epsilon=length)
        if self.name == "DT":
            return tree_attack(self.model, x, goal)
        return fgsm(self.network, x, goal, epsilon=epsilon, norm=norm)


def train(name: str, dataset: Dataset, *, seed: int = 0, epochs: int = 10) -> Technique:
    """A model of that technique, trained on a data set.

    name: "DNN", "LR", "SVM", "DT" or "kNN".
    dataset: with pixels from 0 to 1, and labels 0 … K-1, each at least once.
    seed: a whole number, of the network's first parameters and batches, and of the tree's order of features.
    epochs: of the network.

    The network is LeNet, trained by Adam.  The others are scikit-learn's: LogisticRegression (softmax of all classes),
    LinearSVC (one class against the rest), DecisionTreeClassifier (CART, by Gini impurity, grown until its leaves are
    pure), KNeighborsClassifier with 5 neighbours.  What is not said here is its default.
    Returns: a `Technique`.
    Raises: `RangeError` for an unknown name; `MissingPackageError` without scikit-learn; `DTypeError` for something
    that is not a `Dataset`.
    Source: Papernot, McDaniel and Goodfellow 2016.  Their network has two convolutional layers, too; the number
    of neighbours we do not know.

    >>> import numpy as np
    >>> from attacks.black_box.techniques import train
    >>> from minidl import Dataset
    >>> x = np.random.default_rng(0).random((20, 1, 28, 28), dtype=np.float32)
    >>> train("DNN", Dataset(x, np.arange(20) % 10), epochs=1)
    Technique(DNN)
    """
    if name not in TECHNIQUES:
        raise RangeError("techniques.train", f"a technique of {list(TECHNIQUES)}", repr(name))
    if not isinstance(dataset, Dataset):
        raise DTypeError("techniques.train", "a Dataset", type(dataset).__name__)
    shape, classes = dataset.x.shape[1:], int(dataset.y.max()) + 1
    if name == "DNN":
        net = models.lenet(shape, classes, seed=seed)
        history = fit(net, dataset, epochs=epochs, optimizer=Adam(), seed=seed, progress=False)
        if history.interrupted:
            raise KeyboardInterrupt  # half a network is not this technique
        return Technique(name, net, net, classes)
    classifier = _classifier(name, seed)
    classifier.fit(to_numpy(dataset.x).reshape(len(dataset), -1), to_numpy(dataset.y))
    stand_in: dict[str, Callable[[], Any]] = {
        "LR": lambda: linear_network(classifier, shape),
        "SVM": lambda: linear_network(classifier, shape),
        "kNN": lambda: SoftNeighbours(dataset.x, dataset.y),
        "DT": lambda: None,
    }
    return Technique(name, classifier, stand_in[name](), classes)


def _classifier(name: str, seed: int) -> Any:
    """scikit-learn's classifier of that technique, not trained yet."""
    try:
        from sklearn.linear_model import LogisticRegression
        from sklearn.neighbors import KNeighborsClassifier
        from sklearn.svm import LinearSVC
        from sklearn.tree import DecisionTreeClassifier
    except ImportError as error:
        expected, fix = f"scikit-learn, for {TECHNIQUES[name]}", 'run pip install "minidl[black-box]"'
        raise MissingPackageError("techniques.train", expected, str(error), fix) from error
    return {
        "LR": lambda: LogisticRegression(max_iter=1000),
        "SVM": lambda: LinearSVC(random_state=seed, max_iter=10_000),
        "DT": lambda: DecisionTreeClassifier(random_state=seed),
        "kNN": lambda: KNeighborsClassifier(NEIGHBOURS),
    }[name]()


def vote(techniques: Sequence[Technique]) -> Callable[[Array], np.ndarray]:
    """The ensemble of several models: a function from images (N, ...) to the class (N,) that most of them predict.

    techniques: one or more.  Of classes with equally many votes, the first is taken.

    >>> import numpy as np
    >>> from types import SimpleNamespace
    >>> from attacks.black_box.techniques import vote
    >>> ones, twos = (SimpleNamespace(predict=lambda x, k=k: np.full(len(x), k)) for k in (1, 2))
    >>> vote([twos, ones, twos])(np.zeros((2, 4)))
    array([2, 2])
    """
    if not techniques:
        raise ShapeError("vote", "at least one model", "none")

    def most_votes(x: Array) -> np.ndarray:
        votes = np.stack([to_numpy(each.predict(x)) for each in techniques])
        return (votes[..., None] == np.arange(votes.max(initial=0) + 1)).sum(axis=0).argmax(axis=-1)

    return most_votes
