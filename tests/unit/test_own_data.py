"""Files as people have them: IDX of every type, MNIST and its relatives in every layout, CIFAR without pickles."""

from __future__ import annotations

import gzip
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest

from minidl.data import (
    cifar,
    load_cifar10,
    load_cifar100,
    load_emnist,
    load_fashion_mnist,
    load_kmnist,
    load_mnist,
    load_qmnist,
    read_idx,
    sets,
)
from minidl.errors import DataError, DTypeError, RangeError
from tests.unit.test_cifar import FILES as BATCHES
from tests.unit.test_data import FILES, IMAGES, LABELS, idx_bytes, put

CODES = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}


def idx_of(values: np.ndarray) -> bytes:
    """The format as its page describes it: big-endian, whatever the machine is."""
    code = CODES[values.dtype.str[1:]]
    header = bytes([0, 0, code, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape)
    return header + values.astype(values.dtype.newbyteorder(">")).tobytes()


@pytest.fixture(autouse=True)
def nowhere_else(monkeypatch, tmp_path) -> None:
    monkeypatch.delenv("MINIDL_DATA", raising=False)
    for module in (sets, cifar):
        monkeypatch.setattr(module, "cache_folder", lambda: tmp_path / "cache")


# --- IDX -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", CODES)
@pytest.mark.parametrize("shape", [(), (5,), (6, 8), (2, 3, 4), (2, 1, 3, 2), (0, 3)])
def test_idx_of_every_type_and_rank(tmp_path, kind, shape) -> None:
    rng = np.random.default_rng(0)
    values = np.asarray(rng.normal(0, 50, shape)).astype(np.int64 if kind[0] in "iu" else kind).astype(kind)
    for name, content in (("a.gz", idx_of(values)), ("b", gzip.compress(idx_of(values)))):  # names of other contents
        (tmp_path / name).write_bytes(content)
        for rank in (None, len(shape)):
            array = read_idx(tmp_path / name, rank)
            np.testing.assert_array_equal(array, values)
            assert (array.dtype, array.shape) == (np.dtype(kind), shape)
        with pytest.raises(DataError, match=rf"a rank of {len(shape) + 1}"):
            read_idx(tmp_path / name, len(shape) + 1)


def test_an_idx_file_that_ends_within_a_value(tmp_path) -> None:
    content = idx_of(np.arange(5, dtype="i4"))
    for cut, message in (
        (content[:-1], "5 values.*got 4"),
        (content + b"!", "5 values.*got more"),
        (content[:6], "1 lengths"),
    ):
        (tmp_path / "a").write_bytes(cut)
        with pytest.raises(DataError, match=message):
            read_idx(tmp_path / "a")


@pytest.mark.parametrize("magic", [b"\0\0\x08\x41", b"\0\0\x0a\x01", b"PK\3\4", b"\0\0\x08"])
def test_other_files_than_idx_are_reported(tmp_path, magic) -> None:
    (tmp_path / "a").write_bytes(magic)
    with pytest.raises(DataError, match=r"begin with 00 00, a type \(08, 09, 0b, 0c, 0d, 0e\)"):
        read_idx(tmp_path / "a")


# --- layouts of MNIST ------------------------------------------------------------------------------------


def dotted(files: dict[str, bytes]) -> dict[str, bytes]:
    return {name.replace("-idx", ".idx"): content for name, content in files.items()}


def each_in_its_folder(folder: Path, files: dict[str, bytes], inner: dict[str, bytes]) -> None:
    for name, (inside, content) in zip(files, inner.items()):
        put(folder / name, {inside: content}, zipped=False)


LAYOUTS = {
    "the files": lambda root: put(root, FILES, zipped=False),
    "gzipped": lambda root: put(root, FILES),
    "gzipped under the names of unpacked ones": lambda root: put(root, {n: gzip.compress(c) for n, c in FILES.items()}, False),
    "unpacked under the names of gzipped ones": lambda root: put(root, {f"{n}.gz": c for n, c in FILES.items()}, False),
    "dots": lambda root: put(root, dotted(FILES), zipped=False),
    "dots, gzipped": lambda root: put(root, dotted(FILES)),
    "torchvision": lambda root: put(root / "MNIST" / "raw", FILES, zipped=False),
    "MINIDL_DATA's": lambda root: put(root / "mnist", FILES),
    "Kaggle": lambda root: each_in_its_folder(root, FILES, FILES),
    "Kaggle, with dots": lambda root: each_in_its_folder(root, dotted(FILES), dotted(FILES)),
    "Kaggle, mixed": lambda root: each_in_its_folder(root, FILES, dotted(FILES)),
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_of_mnist(layout, tmp_path) -> None:
    LAYOUTS[layout](tmp_path / "own")
    for path in (tmp_path / "own", str(tmp_path / "own")):
        train, test = load_mnist(path)
        np.testing.assert_array_equal(train.x, IMAGES[:, None] / np.float32(255))
        np.testing.assert_array_equal(train.y, LABELS)
        assert (len(test), train.x.dtype, train.y.dtype) == (2, np.float32, np.int64)


def test_torchvisions_folder_in_the_environment(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("MINIDL_DATA", str(tmp_path))
    put(tmp_path / "FashionMNIST" / "raw", FILES, zipped=False)
    assert load_fashion_mnist()[0].class_names[9] == "Ankle boot"
    with pytest.raises(DataError, match="got no folder .*mnist. Fix: put"):
        load_mnist()


def test_a_path_goes_before_the_environment_and_never_elsewhere(tmp_path, monkeypatch) -> None:
    put(tmp_path / "good" / "mnist", FILES)
    monkeypatch.setenv("MINIDL_DATA", str(tmp_path / "good"))
    (tmp_path / "bad").mkdir()
    for name in ("notes.txt", *"abcdefgh"):
        (tmp_path / "bad" / name).write_bytes(b"")
    (tmp_path / "bad" / "zip").mkdir()
    message = r"train-images-idx3-ubyte, .* in \S*bad \(or in \S*mnist, \S*raw\), got no such files, but a, b, .*, h and 2 more. Fix: put"
    with pytest.raises(DataError, match=message):
        load_mnist(tmp_path / "bad")
    with pytest.raises(
        DataError, match=r"got no folder \S*absent\. Fix: put the files into \S*absent, gzipped or not$"
    ):
        load_mnist(tmp_path / "absent")
    with pytest.raises(DataError, match="Fix: name a folder"):
        load_mnist(tmp_path / "bad" / "notes.txt")
    with pytest.raises(DTypeError, match="load_mnist: expected the path of a folder, got int"):
        load_mnist(3)  # type: ignore[arg-type]


def test_missing_files_are_reported_of_the_folder_that_has_most(tmp_path) -> None:
    put(tmp_path / "MNIST" / "raw", {name: FILES[name] for name in list(FILES)[:3]})
    with pytest.raises(
        DataError, match=r"expected t10k-labels-idx1-ubyte in \S*raw \(or .*Fix: put the files into \S*raw"
    ):
        load_mnist(tmp_path)


@pytest.mark.parametrize(("images", "labels"), [("i4", "i4"), ("i2", "i1"), ("u1", "i4")])
def test_files_of_other_types_hold_the_same(tmp_path, images, labels) -> None:
    put(
        tmp_path,
        {n: idx_of((IMAGES if "images" in n else LABELS).astype(images if "images" in n else labels)) for n in FILES},
    )
    train, test = load_mnist(tmp_path)
    np.testing.assert_array_equal(test.x, IMAGES[:, None] / np.float32(255))
    np.testing.assert_array_equal(train.y, LABELS)


def test_pixels_in_floating_point_are_taken_as_they_are_or_refused(tmp_path) -> None:
    put(tmp_path, {**FILES, "train-images-idx3-ubyte": idx_of(IMAGES.astype("f4") / 255)})
    np.testing.assert_array_equal(load_mnist(tmp_path)[0].x[:, 0], IMAGES.astype("f4") / np.float32(255))
    for values in (IMAGES.astype("f4"), -IMAGES.astype("i2"), IMAGES.astype("f4") * np.nan, IMAGES.astype("i4") * 2):
        put(tmp_path, {"train-images-idx3-ubyte": idx_of(values)})
        with pytest.raises(DataError, match="load_mnist: expected pixels from 0 to 255, or from 0 to 1"):
            load_mnist(tmp_path)
    put(tmp_path, {**FILES, "train-labels-idx1-ubyte": idx_of(LABELS.astype("f4"))})
    with pytest.raises(DataError, match="whole numbers from 0.*float32"):
        load_mnist(tmp_path)
    put(tmp_path, {**FILES, "train-labels-idx1-ubyte": idx_of(-LABELS.astype("i1"))})
    with pytest.raises(DataError, match="int8 from -5 to -1"):
        load_mnist(tmp_path)


# --- MNIST's relatives -----------------------------------------------------------------------------------


def test_kmnist(tmp_path) -> None:
    put(tmp_path / "KMNIST" / "raw", FILES)
    train, _ = load_kmnist(tmp_path)
    assert train.class_names == ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
    np.testing.assert_array_equal(train.y, LABELS)


def test_what_is_never_downloaded_says_where_it_is_to_be_had() -> None:
    for load, home in ((load_kmnist, "codh"), (load_qmnist, "github"), (lambda: load_emnist("digits"), "nist.gov")):
        with pytest.raises(
            DataError,
            match=rf"no mirror. Fix: fetch them from http\S*{home}\S*, and name their folder: load_\w+\(path=",
        ):
            load()


def test_qmnist_takes_the_class_of_eight_numbers(tmp_path) -> None:
    labels = np.stack([LABELS.astype("i4"), *np.full((7, 5), 70_000, "i4")], axis=1)
    put(tmp_path, {f"qmnist-{part}-{name}": idx_of(values) for part in ("train", "test")
                   for name, values in (("images-idx3-ubyte", IMAGES), ("labels-idx2-int", labels))})  # fmt: skip
    for part in load_qmnist(tmp_path):
        np.testing.assert_array_equal(part.y, LABELS)
        np.testing.assert_array_equal(part.x[:, 0], IMAGES / np.float32(255))


def emnist(split: str, labels: np.ndarray) -> dict[str, bytes]:
    return {f"emnist-{split}-{part}-{name}": idx_bytes(values) for part in ("train", "test")
            for name, values in (("images-idx3-ubyte", IMAGES), ("labels-idx1-ubyte", labels))}  # fmt: skip


def test_emnist_is_put_upright_and_letters_count_from_0(tmp_path) -> None:
    put(tmp_path / "gzip", emnist("letters", np.array([1, 26, 2, 3, 3], np.uint8)))
    train, _ = load_emnist("letters", tmp_path)
    assert [train.class_names[label] for label in train.y] == ["A", "Z", "B", "C", "C"]
    np.testing.assert_array_equal(train.x[:, 0], IMAGES.transpose(0, 2, 1) / np.float32(255))
    for label, got in ((0, "from 0 to 26"), (27, "from 2 to 27")):
        put(tmp_path / "gzip", emnist("letters", np.array([label, 26, 2, 3, 3], np.uint8)))
        with pytest.raises(DataError, match=f"labels below 27 .*numbers from 1, got uint8 {got}"):
            load_emnist("letters", tmp_path)


@pytest.mark.parametrize(
    ("split", "classes", "last"),
    [("balanced", 47, "t"), ("bymerge", 47, "t"), ("byclass", 62, "z"), ("digits", 10, "9"), ("mnist", 10, "9")],
)
def test_the_other_splits_of_emnist(tmp_path, split, classes, last) -> None:
    put(tmp_path / "EMNIST" / "raw", emnist(split, np.array([0, classes - 1, 2, 3, 3], np.uint8)), zipped=False)
    train, _ = load_emnist(split, tmp_path)
    assert (len(train.class_names), train.class_names[-1], train.y.max()) == (classes, last, classes - 1)


def test_an_unknown_split_raises_an_error() -> None:
    with pytest.raises(RangeError, match="a split, one of .*'letters'.*got 'capitals'"):
        load_emnist("capitals")


# --- CIFAR -----------------------------------------------------------------------------------------------


def test_cifar10_in_a_folder_of_ones_own(tmp_path) -> None:
    put(tmp_path / "cifar-10-batches-bin", {name: BATCHES[name] for name in (*cifar.TRAIN, cifar.TEST)}, zipped=False)
    for path in (tmp_path, tmp_path / "cifar-10-batches-bin"):
        assert len(load_cifar10(path)[0]) == sum(k + 2 for k in range(5))


class Bomb:
    """Unpickled, this leaves a mark."""

    def __reduce__(self):
        return Path.mkdir, (Path("mark"),)


@pytest.mark.parametrize(("load", "folder", "file"), [
    (load_cifar10, "cifar-10-batches-py", "data_batch_1"), (load_cifar10, "cifar-10-batches-bin", "test_batch"),
    (load_cifar100, "cifar-100-python", "train")])  # fmt: skip
def test_pickled_files_raise_an_error_and_are_never_opened(load, folder, file, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / folder).mkdir()
    (tmp_path / folder / file).write_bytes(pickle.dumps(Bomb(), 2))
    message = rf"got \S*{file}, pickled for Python: .*Fix: fetch that from https://www.cs.toronto.edu"
    for path in (tmp_path, tmp_path / folder):
        with pytest.raises(DataError, match=message):
            load(path)
    monkeypatch.setenv("MINIDL_DATA", str(tmp_path))
    with pytest.raises(DataError, match=message):
        load()
    with pytest.raises(DataError, match=rf"read_batch.*{message}"):
        cifar.read_batch(tmp_path / folder / file)
    assert not (tmp_path / "mark").exists()


def cifar100(folder: Path, fine: list[int]) -> np.ndarray:
    images = np.random.default_rng(0).integers(0, 256, (len(fine), 3072), dtype=np.uint8)
    records = b"".join(bytes([min(k // 5, 19), k]) + image.tobytes() for k, image in zip(fine, images))
    names = {
        f"{kind}_label_names.txt": "\n".join(f"{kind}{k}" for k in range(count)).encode() + b"\n"
        for kind, count in (("fine", 100), ("coarse", 20))
    }
    put(folder, {"train.bin": records, "test.bin": records, **names}, zipped=False)
    return images.reshape(-1, 3, 32, 32)


def test_cifar100_by_class_and_by_superclass(tmp_path) -> None:
    images = cifar100(tmp_path / "cifar-100-binary", [99, 0, 42])
    for coarse, named in ((False, ["fine99", "fine0", "fine42"]), (True, ["coarse19", "coarse0", "coarse8"])):
        for part in load_cifar100(tmp_path, coarse=coarse):
            assert [part.class_names[label] for label in part.y] == named
            np.testing.assert_array_equal(part.x, images / np.float32(255))


def test_cifar100_raises_an_error_where_it_is_damaged_or_nowhere(tmp_path) -> None:
    with pytest.raises(DataError, match="Fix: fetch cifar-100-binary.tar.gz"):
        load_cifar100()
    cifar100(tmp_path, [99, 100])
    with pytest.raises(
        DataError, match=r"load_cifar100: expected labels below 100 in \S*train.bin, got 100 for image 1"
    ):
        load_cifar100(tmp_path)
    cifar100(tmp_path, [1])
    (tmp_path / "coarse_label_names.txt").write_bytes(b"a\nb\n")
    with pytest.raises(DataError, match="20 names in .*got 2"):
        load_cifar100(tmp_path, coarse=True)
