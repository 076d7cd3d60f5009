"""The examples in the docstrings of `minidl.data`: they run, on small files of the names that they give."""

from __future__ import annotations

import gzip
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
from tests.unit.test_data import FILES, LABELS, put

LETTERS = np.array([1, 26, 2, 3, 3], np.uint8)


def pets(root: Path) -> None:
    for part in ("train", "test"):
        test_own_images.pets(root / "pets" / part)


def kaggle(root: Path) -> None:
    (root / "digit-recognizer").mkdir()
    test_own_images.table(root / "digit-recognizer" / "train.csv", [test_own_images.HEADER, *test_own_images.ROWS * 5])


def qmnist(root: Path) -> None:
    values = test_own_data.idx_of(np.zeros((60_000, 8), "i4"))
    (root / "qmnist-train-labels-idx2-int.gz").write_bytes(gzip.compress(values))


EXAMPLES: dict[Callable, Callable[[Path], object]] = {
    data.load_mnist: lambda root: put(root / "data" / "MNIST" / "raw", FILES),
    data.load_emnist: lambda root: put(root / "downloads" / "gzip", test_own_data.emnist("letters", LETTERS)),
    data.load_cifar10: lambda root: put(root / "downloads", {n: BATCHES[n] for n in (*cifar.TRAIN, cifar.TEST)}, False),
    data.load_cifar100: lambda root: test_own_data.cifar100(root / "downloads" / "cifar-100-binary", [99, 5]),
    data.read_idx: qmnist,
    Dataset: lambda root: None,
    Dataset.from_folder: pets,
    Dataset.from_csv: kaggle,
}  # fmt: skip
GIVEN = {"np": np, "photos": np.zeros((5, 4, 6, 3), np.uint8), "labels": LABELS % 2}


@pytest.mark.parametrize("documented", EXAMPLES, ids=lambda documented: documented.__qualname__)
def test_examples_run(documented, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    EXAMPLES[documented](tmp_path)
    code = "\n".join(re.findall(r"^    (\S.*)", inspect.getdoc(documented), re.MULTILINE))
    assert code
    names = {**vars(data), **GIVEN}
    exec(code, names)
    made = [value for name, value in names.items() if name in code and isinstance(value, Dataset)]
    assert all(len(dataset) > 0 for dataset in made)
