"""Data sets, each as (train, test), two `Dataset`s; and images of your own.

`load_digits` is bundled.  `load_mnist` and its relatives, `load_cifar10` and `load_cifar100` read files.  For your own
pictures there is `Dataset.from_folder`, for a table `Dataset.from_csv`, and for arrays ``Dataset(x, y, class_names)``.

Reading order:
    dataset            `Dataset`: images and labels
    pixels             pixels of whole numbers become floats in [0, 1]
    pictures, tables   folders of pictures, and tables, of your own
    idx, sets          the format of MNIST, and the data sets that have it
    cifar, cifar100    the binary format of CIFAR
    files, download    where files are looked for, and how they are fetched
"""

from .cifar import load_cifar10
from .cifar100 import load_cifar100
from .dataset import Dataset
from .idx import read_idx
from .sets import load_digits, load_emnist, load_fashion_mnist, load_kmnist, load_mnist, load_qmnist

__all__ = ["Dataset", "load_cifar10", "load_cifar100", "load_digits", "load_emnist", "load_fashion_mnist",
           "load_kmnist", "load_mnist", "load_qmnist", "read_idx"]  # fmt: skip
