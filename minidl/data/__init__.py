"""Data sets: `load_digits` (bundled, no network), `load_mnist`, `load_fashion_mnist`, `load_cifar10`.

Each gives (train, test), two `Dataset`s.
"""

from .cifar import load_cifar10
from .dataset import Dataset
from .sets import load_digits, load_fashion_mnist, load_mnist

__all__ = ["Dataset", "load_cifar10", "load_digits", "load_fashion_mnist", "load_mnist"]
