"""Data sets, each as (train, test), two `Dataset`s; and images of your own.

`load_digits` is bundled, no network; `load_mnist` and its relatives, `load_cifar10` and `load_cifar100` from files.
Of your own pictures make a data set with `Dataset.from_folder`, of a table with `Dataset.from_csv`, of arrays with
``Dataset(x, y, class_names)``; `read_idx` reads any file in MNIST's format.
"""

from .cifar import load_cifar10
from .cifar100 import load_cifar100
from .dataset import Dataset
from .idx import read_idx
from .sets import load_digits, load_emnist, load_fashion_mnist, load_kmnist, load_mnist, load_qmnist

__all__ = ["Dataset", "load_cifar10", "load_cifar100", "load_digits", "load_emnist", "load_fashion_mnist",
           "load_kmnist", "load_mnist", "load_qmnist", "read_idx"]  # fmt: skip
