"""Data sets: `load_digits` (bundled, no network), `load_mnist`, `load_fashion_mnist`; each gives (train, test)."""

from .dataset import Dataset
from .sets import load_digits, load_fashion_mnist, load_mnist

__all__ = ["Dataset", "load_digits", "load_fashion_mnist", "load_mnist"]
