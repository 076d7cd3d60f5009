"""The examples of `minidl.data` that read files: they run, on small files of those names.  Doctests run the others."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from minidl import data
from minidl.data import Dataset, cifar
from tests.unit import test_own_data, test_own_images
from tests.unit.test_cifar import FILES as BATCHES
from tests.unit.test_data import FILES, put

LETTERS = np.array([1, 26, 2, 3, 3], np.uint8)


def pets(root: Path) -> None:
    for part in ("train", "test"):
        test_own_images.pets(root / "pets" / part)


def kaggle(root: Path) -> None:
    (root / "digit-recognizer").mkdir()
    test_own_images.table(root / "digit-recognizer" / "train.csv", [test_own_images.HEADER, *test_own_images.ROWS * 5])


EXAMPLES: dict[Callable, Callable[[Path], object]] = {
    data.load_mnist: lambda root: put(root / "data" / "MNIST" / "raw", FILES),
    data.load_emnist: lambda root: put(root / "downloads" / "gzip", test_own_data.emnist("letters", LETTERS)),
    data.load_cifar10: lambda root: put(root / "downloads", {n: BATCHES[n] for n in (*cifar.TRAIN, cifar.TEST)}, False),
    data.load_cifar100: lambda root: test_own_data.cifar100(root / "downloads" / "cifar-100-binary", [99, 5]),
    Dataset.from_folder: pets,
    Dataset.from_csv: kaggle,
}  # fmt: skip


@pytest.mark.parametrize("documented", EXAMPLES, ids=lambda documented: documented.__qualname__)
def test_examples_run(documented, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    EXAMPLES[documented](tmp_path)
    code = "\n".join(re.findall(r"^    (\S.*)", inspect.getdoc(documented), re.MULTILINE))
    assert code
    names = dict(vars(data))
    exec(code, names)
    made = [value for name, value in names.items() if name in code and isinstance(value, Dataset)]
    assert all(len(dataset) > 0 for dataset in made)
