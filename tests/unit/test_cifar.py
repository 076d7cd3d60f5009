"""CIFAR-10: the binary layout, which files are looked for where, and downloads gone wrong."""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from minidl.data import cifar, files, load_cifar10
from minidl.data.cifar import read_batch
from minidl.errors import DataError
from minidl.testing import Mutant, line
from tests.unit.test_data import Mirror, little_memory, serving

RNG = np.random.default_rng(0)
NAMES = [*cifar.TRAIN, cifar.TEST]
IMAGES = {name: RNG.integers(0, 256, (k + 2, 3, 32, 32), dtype=np.uint8) for k, name in enumerate(NAMES)}
LABELS = {name: RNG.integers(0, 10, k + 2, dtype=np.uint8) for k, name in enumerate(NAMES)}


def batch(images: np.ndarray, labels: np.ndarray) -> bytes:
    """The layout in plain words: for each image its label, then its red, green and blue plane, row by row."""
    return b"".join(
        bytes([label]) + red.tobytes() + green.tobytes() + blue.tobytes()
        for label, (red, green, blue) in zip(labels, images)
    )


FILES = {name: batch(IMAGES[name], LABELS[name]) for name in NAMES}
ONE = FILES[cifar.TRAIN[0]]  # two images


# --- the layout ------------------------------------------------------------------------------------------


def test_a_batch_may_be_full(tmp_path) -> None:
    """10,000 images; with one more it is none."""
    (tmp_path / "full.bin").write_bytes(bytes(cifar.RECORD * 10_000))
    assert len(read_batch(tmp_path / "full.bin")[0]) == 10_000
    (tmp_path / "full.bin").write_bytes(bytes(cifar.RECORD * 10_001))
    with pytest.raises(DataError, match="1 to 10000 images"):
        read_batch(tmp_path / "full.bin")


def test_round_trip(tmp_path) -> None:
    for name, content in FILES.items():
        for path, written in ((tmp_path / "plain", content), (tmp_path / "zipped", gzip.compress(content))):
            path.write_bytes(written)
            images, labels = read_batch(path)
            np.testing.assert_array_equal(images, IMAGES[name])
            np.testing.assert_array_equal(labels, LABELS[name])
            assert images.dtype == labels.dtype == np.uint8


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "got 0 bytes"),
        (ONE[:1], "got 1 bytes"),
        (ONE[:-1], "got 6145 bytes"),
        (ONE[: cifar.RECORD + 100], "got 3173 bytes"),
        (ONE + b"!", "got 6147 bytes"),
        (bytes([10]) + ONE[1:], "labels below 10.*got 10 for image 0"),
        (ONE[: cifar.RECORD] + bytes([255]) + ONE[cifar.RECORD + 1 :], "labels below 10.*got 255 for image 1"),
    ],
    ids=["empty", "a label", "truncated", "ends within an image", "a byte too many", "label 10", "label 255"],
)
def test_malformed(tmp_path, content, message) -> None:
    for written in (content, gzip.compress(content)):
        (tmp_path / "batch.bin").write_bytes(written)
        with pytest.raises(DataError, match=message):
            read_batch(tmp_path / "batch.bin")


def test_oversized_is_not_read_to_its_end(tmp_path) -> None:
    (tmp_path / "batch.bin").write_bytes(gzip.compress(bytes(cifar.RECORD * (cifar.MOST + 2)), 1))
    with pytest.raises(DataError, match="1 to 10000 images.*more than 10000"):
        read_batch(tmp_path / "batch.bin")


def test_a_file_that_is_too_long_is_not_opened(tmp_path, monkeypatch) -> None:
    with open(tmp_path / "batch.bin", "wb") as file:
        file.write(gzip.compress(ONE))
        file.truncate(2**27)
    monkeypatch.setattr(files, "open", None, raising=False)
    with pytest.raises(DataError, match="read_batch: expected at most .* bytes"):
        read_batch(tmp_path / "batch.bin")


def test_gzip_damage(tmp_path) -> None:
    zipped = bytearray(gzip.compress(ONE))
    for i in (20, len(zipped) // 2, len(zipped) - 6):
        zipped[i] ^= 0x55
        for written in (bytes(zipped), bytes(zipped[:i])):
            (tmp_path / "batch.bin").write_bytes(written)
            with pytest.raises(DataError, match="fetch it again"):
                read_batch(tmp_path / "batch.bin")
        zipped[i] ^= 0x55


def test_missing(tmp_path) -> None:
    with pytest.raises(DataError, match="read_batch.*no such file"):
        read_batch(tmp_path / "nothing.bin")


UNREACHABLE = "http://127.0.0.1:9/"


# --- one's own folder ------------------------------------------------------------------------------------


@pytest.fixture
def own(monkeypatch, tmp_path) -> Path:
    """One's own folder, empty; no cache, and no network."""
    monkeypatch.setenv("MINIDL_DATA", str(tmp_path / "own"))
    monkeypatch.setattr(cifar, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(cifar, "URL", UNREACHABLE)
    folder = tmp_path / "own" / "cifar-10-batches-bin"
    folder.mkdir(parents=True)
    return folder


def put(folder: Path, *names: str, zipped: bool = False) -> None:
    for name in names:
        path = folder / (f"{name}.gz" if zipped else name)
        path.write_bytes(gzip.compress(FILES[name]) if zipped else FILES[name])


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("which", [(1,), (3, 1), (1, 2, 3, 4, 5)])
def test_as_many_training_batches_as_there_are(own, zipped, which) -> None:
    put(own, *(f"data_batch_{k}.bin" for k in which), zipped=zipped)
    put(own, cifar.TEST)
    train, test = load_cifar10()
    there = [f"data_batch_{k}.bin" for k in sorted(which)]
    np.testing.assert_array_equal(train.x, np.concatenate([IMAGES[n] for n in there]).astype(np.float32) / 255)
    np.testing.assert_array_equal(train.y, np.concatenate([LABELS[n] for n in there]))
    np.testing.assert_array_equal(test.y, LABELS[cifar.TEST])
    assert (train.x.dtype, train.y.dtype, train.x.shape[1:]) == (np.float32, np.int64, (3, 32, 32))
    assert repr(train).startswith(f"Dataset({len(train.y)} examples")
    assert train.class_names == test.class_names
    assert (train.class_names[0], train.class_names[1], train.class_names[9]) == ("airplane", "automobile", "truck")


def test_ones_own_folder_must_hold_the_set(own, served, monkeypatch) -> None:
    """Neither the cache nor a download takes the place of files that were promised."""
    load_cifar10()
    monkeypatch.setenv("MINIDL_DATA", str(own.parent))

    def refused(message: str) -> None:
        Mirror.requests.clear()
        with pytest.raises(DataError, match=message) as caught:
            load_cifar10()
        assert str(own) in caught.value.expected
        assert caught.value.fix.endswith("or unset MINIDL_DATA")
        assert not Mirror.requests

    some = r"data_batch_1\.bin or .* or data_batch_5\.bin"
    refused(rf"{some}, test_batch\.bin in .*got an empty folder")
    put(own, cifar.TEST, zipped=True)
    refused(rf"expected {some} in .*got no such files")
    put(own, cifar.TRAIN[2])
    (own / f"{cifar.TEST}.gz").unlink()
    refused(r"expected test_batch\.bin in .*got no such files")
    (own / cifar.TRAIN[2]).unlink()
    own.rmdir()
    refused("got no folder .*cifar-10-batches-bin. Fix")
    own.parent.rmdir()
    own.parent.write_bytes(b"")
    refused("got no folder .*own. Fix")


def test_damage_in_ones_own_folder_is_reported(own) -> None:
    put(own, *NAMES)
    (own / cifar.TRAIN[4]).write_bytes(FILES[cifar.TRAIN[4]][:-7])
    with pytest.raises(DataError, match=r"data_batch_5\.bin"):
        load_cifar10()


# --- downloads -------------------------------------------------------------------------------------------


def archive(files: dict[str, bytes], prefix: str = "cifar-10-batches-bin/") -> bytes:
    """A .tar.gz of these files, with a stranger that would like to be written elsewhere."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w:gz") as tar:
        for name, content in {f"{prefix}{name}": c for name, c in files.items()}.items() | {("../evil", b"evil")}:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return written.getvalue()


@pytest.fixture
def served(monkeypatch, tmp_path) -> Iterator[bytes]:
    """What a server on this machine gives; its digest is the right one."""
    content = archive(FILES)
    monkeypatch.delenv("MINIDL_DATA", raising=False)
    monkeypatch.setattr(cifar, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(cifar, "SHA256", hashlib.sha256(content).hexdigest())
    with serving({"/cifar": content}) as address:
        monkeypatch.setattr(cifar, "URL", f"{address}/cifar")
        yield content


def test_downloaded_once_then_cached(served, tmp_path) -> None:
    train, test = load_cifar10()
    assert len(train) == sum(len(LABELS[name]) for name in cifar.TRAIN)
    assert len(test) == len(LABELS[cifar.TEST])
    kept = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file())
    assert kept == [f"cache/cifar-10-batches-bin/{name}" for name in sorted(NAMES)]  # no scraps, nothing elsewhere
    np.testing.assert_array_equal(load_cifar10()[0].x, train.x)
    assert Mirror.requests == ["/cifar"]


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("another file", "SHA-256"), ("not an archive", "ReadError"), ("cut short", "EOFError"),
        ("without test images", r"test_batch\.bin in the archive"), ("a damaged batch", r"data_batch_3\.bin"),
        ("in another folder", r"data_batch_1\.bin in the archive"), ("a folder for a file", "in the archive"),
        ("a batch too large", r"at most 30730 bytes in .*data_batch_3\.bin"), ("a bomb", r"at most \d+ bytes, got more"),
    ],
)  # fmt: skip
def test_nothing_damaged_is_cached(served, monkeypatch, tmp_path, fault, message) -> None:
    monkeypatch.setattr(cifar, "MOST", 10)
    bad = {
        "another file": lambda: served + b"!",
        "not an archive": lambda: b"<html>sign in</html>",
        "cut short": lambda: served[: len(served) // 2],
        "without test images": lambda: archive({name: FILES[name] for name in cifar.TRAIN}),
        "a damaged batch": lambda: archive(FILES | {cifar.TRAIN[2]: b"\0" * 5000}),
        "in another folder": lambda: archive(FILES, prefix="elsewhere/"),
        "a folder for a file": lambda: folders(),
        "a batch too large": lambda: archive(FILES | {cifar.TRAIN[2]: bytes(11 * cifar.RECORD)}),
        "a bomb": lambda: archive(FILES | {"data_batch_0.bin": bytes(2**25)}),
    }[fault]()
    Mirror.content["/cifar"] = bad
    if fault != "another file":  # as if it had been the right one
        monkeypatch.setattr(cifar, "SHA256", hashlib.sha256(bad).hexdigest())
    with little_memory(2**23), pytest.raises(DataError, match=message) as caught:
        load_cifar10()
    assert str(tmp_path / "cache") in str(caught.value)
    assert fault == "a damaged batch" or re.search("to download CIFAR-10.*Fix: put the six", str(caught.value))
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def folders() -> bytes:
    """An archive in which a folder has the name of a batch."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w:gz") as tar:
        member = tarfile.TarInfo(f"cifar-10-batches-bin/{cifar.TRAIN[0]}")
        member.type = tarfile.DIRTYPE
        tar.addfile(member)
    return written.getvalue()


def test_offline_and_uncached(served, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(cifar, "URL", UNREACHABLE)
    with pytest.raises(DataError, match=r"ConnectionError.*MINIDL_DATA"):
        load_cifar10()


def test_an_incomplete_cache_is_completed(served, tmp_path) -> None:
    load_cifar10()
    (tmp_path / "cache" / "cifar-10-batches-bin" / cifar.TRAIN[1]).unlink()
    train, _ = load_cifar10()
    assert len(train) == sum(len(LABELS[name]) for name in cifar.TRAIN)


#: Wrong on purpose, each beside the law of this file that must catch it: see `test_mutants`.
# fmt: off
MUTANTS = [
    Mutant("CIFAR-10: colours side by side", line(cifar, "read_records", "reshape(-1, *SHAPE)", "reshape(-1, 32, 32, 3).transpose(0, 3, 1, 2)"), test_round_trip),
    Mutant("CIFAR-10: the label last", line(cifar, "read_records", "labels = records[:, : len(classes)]", "labels = records[:, -len(classes) :]"), test_round_trip),
]
# fmt: on
