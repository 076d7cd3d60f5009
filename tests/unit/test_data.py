"""Data: the bundled digits, the IDX reader, where files are looked for, and downloads gone wrong."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import os
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from minidl.data import Dataset, files, idx, load_digits, load_fashion_mnist, load_mnist, sets
from minidl.data.idx import read_idx
from minidl.errors import DataError, DTypeError, RangeError, ShapeError
from minidl.files import regular_file
from minidl.testing import Mutant, line


def idx_bytes(values: np.ndarray) -> bytes:
    return bytes([0, 0, 8, values.ndim]) + b"".join(n.to_bytes(4, "big") for n in values.shape) + values.tobytes()


IMAGES = np.arange(5 * 3 * 3, dtype=np.uint8).reshape(5, 3, 3) * 5
LABELS = np.array([3, 1, 4, 1, 5], np.uint8)
FILES = {
    "train-images-idx3-ubyte": idx_bytes(IMAGES),
    "train-labels-idx1-ubyte": idx_bytes(LABELS),
    "t10k-images-idx3-ubyte": idx_bytes(IMAGES[:2]),
    "t10k-labels-idx1-ubyte": idx_bytes(LABELS[:2]),
}
SMALL = dict(zip(FILES, (IMAGES.shape, LABELS.shape, IMAGES[:2].shape, LABELS[:2].shape)))


# --- the bundled digits ----------------------------------------------------------------------------------


def test_bundled_digits() -> None:
    train, test = load_digits()
    assert (len(train), len(test)) == (8000, 2000)
    for data in (train, test):
        assert data.x.shape[1:] == (1, 28, 28)
        assert (data.x.dtype, data.y.dtype) == (np.float32, np.int64)
        assert (data.x.min(), data.x.max()) == (0, 1)
        assert data.class_names == tuple("0123456789")
        np.testing.assert_allclose(data.x * 255, np.rint(data.x * 255), atol=1e-4)  # whole bytes
    counts = [np.bincount(data.y, minlength=10) for data in (train, test)]
    assert (abs(counts[1] - (counts[0] + counts[1]) / 5) < 1).all()  # stratified
    rows = {row.tobytes() for row in train.x}
    assert len(rows) == 8000
    assert not any(row.tobytes() in rows for row in test.x)


def test_bundled_digits_are_small_and_tell_their_origin() -> None:
    folder = Path(sets.__file__).parent / "digits"
    assert sum(path.stat().st_size for path in folder.glob("*.gz")) <= 2_500_000
    note = (folder / "README.md").read_text(encoding="utf-8")
    assert "npm package" in note
    assert "Creative Commons" in note


# --- the IDX format --------------------------------------------------------------------------------------


def test_round_trip(tmp_path) -> None:
    for shape in ((5, 3, 3), (0, 3, 3), (1, 2, 2)):
        values = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
        for name, content in (("plain", idx_bytes(values)), ("zipped.gz", gzip.compress(idx_bytes(values)))):
            (tmp_path / name).write_bytes(content)
            np.testing.assert_array_equal(read_idx(tmp_path / name, 3), values)


def test_a_packed_file_may_be_longer_than_what_is_in_it(tmp_path) -> None:
    """gzip keeps the name of the file, and packs nothing that looks like noise."""
    noise = np.random.default_rng(0).integers(0, 256, (9, 28, 28)).astype(np.uint8)
    with (tmp_path / "noise.gz").open("wb") as packed, gzip.GzipFile("n" * 200, "wb", fileobj=packed) as file:
        file.write(idx_bytes(noise))
    assert (tmp_path / "noise.gz").stat().st_size > len(idx_bytes(noise)) + 200
    np.testing.assert_array_equal(read_idx(tmp_path / "noise.gz", 3, noise.size), noise)


def broken(tmp_path, content: bytes, message: str, rank: int = 3) -> None:
    for name, written in (("plain", content), ("zipped", gzip.compress(content))):
        (tmp_path / name).write_bytes(written)
        with pytest.raises(DataError, match=message):
            read_idx(tmp_path / name, rank)


@pytest.mark.parametrize(
    "magic",
    [b"\0\0\x08\x01", b"\0\0\x0a\x03", b"\0\0\x0f\x03", b"\0\1\x08\x03", b"\x01\0\x08\x03", b"\x7fELF", b"\0\0"],
)
def test_wrong_magic(tmp_path, magic) -> None:
    broken(tmp_path, magic + FILES["train-images-idx3-ubyte"][4:] if len(magic) == 4 else magic, "to begin with")


@pytest.mark.parametrize("kept", [5, 10, 15, 16, 40, -1])
def test_truncated(tmp_path, kept) -> None:
    broken(tmp_path, FILES["train-images-idx3-ubyte"][:kept], r"lengths|45 values")


def test_oversized(tmp_path) -> None:
    broken(tmp_path, FILES["train-images-idx3-ubyte"] + b"!", r"45 values.*got more")


def test_empty_and_absurd(tmp_path) -> None:
    broken(tmp_path, b"", "an empty file")
    broken(tmp_path, bytes([0, 0, 8, 3]) + b"\xff" * 12 + b"abc", "3")


def test_gzip_damage(tmp_path) -> None:
    zipped = bytearray(gzip.compress(FILES["train-images-idx3-ubyte"]))
    cases = [bytes(zipped[:cut]) for cut in (2, 12, 30, len(zipped) - 4)]
    for place in (15, 25, len(zipped) - 6):
        flipped = bytearray(zipped)
        flipped[place] ^= 0x55
        cases.append(bytes(flipped))
    for i, content in enumerate(cases):
        (tmp_path / f"{i}.gz").write_bytes(content)
        with pytest.raises(DataError, match=r"fetch it again|to begin with|lengths|values"):
            read_idx(tmp_path / f"{i}.gz", 3)


def test_bytes_behind_the_gzip_member(tmp_path) -> None:
    (tmp_path / "a.gz").write_bytes(gzip.compress(FILES["train-images-idx3-ubyte"]) + b"garbage")
    with pytest.raises(DataError, match="sound IDX file"):
        read_idx(tmp_path / "a.gz", 3)


def test_missing(tmp_path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for name in ("nothing", "file/within"):
        with pytest.raises(DataError, match="no such file"):
            read_idx(tmp_path / name, 3)


@pytest.mark.parametrize("lengths", [(2, 3, 8), (1, 1, 46), (0, 0, 2**32 - 1), (0, 2**32 - 1, 2**32 - 1)])
def test_more_values_than_the_caller_allows(tmp_path, lengths) -> None:
    header = bytes([0, 0, 8, 3]) + b"".join(n.to_bytes(4, "big") for n in lengths)
    for written in (header + bytes(48), gzip.compress(header + bytes(48))):
        (tmp_path / "a").write_bytes(written)
        with pytest.raises(DataError, match="at most 45 values"):
            read_idx(tmp_path / "a", 3, most=45)
    (tmp_path / "a").write_bytes(FILES["train-images-idx3-ubyte"])
    np.testing.assert_array_equal(read_idx(tmp_path / "a", 3, most=45), IMAGES)


@contextmanager
def little_memory(most: int = 2**23) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()


def test_memory_follows_what_is_there_and_not_what_the_header_promises(tmp_path) -> None:
    promise = bytes([0, 0, 8, 3]) + (2**26).to_bytes(4, "big") + (4).to_bytes(4, "big") * 2 + b"few"
    for written in (promise, gzip.compress(promise)):
        (tmp_path / "a").write_bytes(written)
        with little_memory(), pytest.raises(DataError, match="got 3"):
            read_idx(tmp_path / "a", 3)


def test_what_expands_beyond_its_header_is_not_read_to_its_end(tmp_path) -> None:
    (tmp_path / "a").write_bytes(gzip.compress(FILES["train-images-idx3-ubyte"] + bytes(2**25), 1))
    with little_memory(), pytest.raises(DataError, match="45 values.*got more"):
        read_idx(tmp_path / "a", 3)


def test_a_file_that_is_too_long_is_not_opened(tmp_path, monkeypatch) -> None:
    with open(tmp_path / "a", "wb") as file:
        file.write(gzip.compress(FILES["train-images-idx3-ubyte"]))
        file.truncate(2**24)  # zeros behind a member are no garbage, and gzip reads them one by one
    monkeypatch.setattr(files, "open", None, raising=False)
    with pytest.raises(DataError, match="at most .* bytes"):
        read_idx(tmp_path / "a", 3, most=45)


def promptly(call: Callable[[], object]) -> None:
    """Call it in a thread, so that a test fails and does not hang if the call waits for ever."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            call()
        except DataError as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(5)
    assert not thread.is_alive()
    assert "regular file" in str(errors[0])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs on this system")
def test_a_fifo_raises_an_error_and_does_not_block(tmp_path) -> None:
    (tmp_path / "good").write_bytes(FILES["train-images-idx3-ubyte"])
    (tmp_path / "link").symlink_to(tmp_path / "good")
    read_idx(tmp_path / "link", 3)  # a link is what it leads to
    (tmp_path / "link").unlink()
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to(tmp_path / "fifo")
    for name in ("fifo", "link"):
        promptly(lambda name=name: read_idx(tmp_path / name, 3))
        promptly(lambda name=name: regular_file("test", tmp_path / name))


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="no /dev/zero on this system")
def test_a_device_raises_an_error() -> None:
    promptly(lambda: read_idx("/dev/zero", 3))
    with pytest.raises(DataError, match="expected /dev/zero to be a regular file, got a FIFO, socket or device"):
        read_idx("/dev/zero", 3)


def test_a_folder_raises_an_error(tmp_path) -> None:
    with pytest.raises(DataError, match="to be a regular file, got a folder"):
        read_idx(tmp_path, 3)


def test_a_path_that_no_file_can_have_raises_an_error(tmp_path) -> None:
    for name in ("a\0b", "a" * 5000):
        with pytest.raises(DataError, match="read_idx: expected a file"):
            read_idx(tmp_path / name, 3)


def test_a_regular_file_is_passed(tmp_path) -> None:
    (tmp_path / "a").write_bytes(b"123")
    regular_file("test", tmp_path / "a")
    regular_file("test", tmp_path / "a", most=3)
    with pytest.raises(DataError, match="test: expected at most 2 bytes in .*a, got 3"):
        regular_file("test", tmp_path / "a", most=2)


def test_a_file_without_read_permission_is_reported(tmp_path, monkeypatch) -> None:
    def denied(path: Path, mode: str) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    (tmp_path / "a").write_bytes(FILES["train-images-idx3-ubyte"])
    monkeypatch.setattr(files, "open", denied, raising=False)  # as root, every file may be read
    with pytest.raises(DataError, match="sound IDX file.*PermissionError"):
        read_idx(tmp_path / "a", 3)


# --- one's own folder ------------------------------------------------------------------------------------


def put(folder: Path, files: dict[str, bytes], zipped: bool = True) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / (f"{name}.gz" if zipped else name)).write_bytes(gzip.compress(content) if zipped else content)


@pytest.fixture
def no_cache(monkeypatch, tmp_path) -> Path:
    """An empty cache, the sizes of the small files, and no network unless a test brings its own."""
    monkeypatch.delenv("MINIDL_DATA", raising=False)
    monkeypatch.setattr(sets, "cache_folder", lambda: tmp_path / "cache")
    for name in ("MNIST", "FASHION"):
        nowhere = ("http://127.0.0.1:9/", "http://127.0.0.1:9/b/")
        monkeypatch.setattr(sets, name, replace(getattr(sets, name), mirrors=nowhere, shapes=SMALL))
    return tmp_path / "cache"


@pytest.mark.parametrize("zipped", [True, False])
def test_the_folder_in_the_environment(no_cache, monkeypatch, tmp_path, zipped) -> None:
    monkeypatch.setenv("MINIDL_DATA", str(tmp_path / "own"))
    put(tmp_path / "own" / "mnist", FILES, zipped)
    put(tmp_path / "own" / "fashion-mnist", FILES, zipped)
    for load, name in ((load_mnist, "7"), (load_fashion_mnist, "Sneaker")):
        train, test = load()
        np.testing.assert_allclose(train.x, IMAGES[:, None] / np.float32(255))
        np.testing.assert_array_equal(train.y, LABELS)
        assert len(test) == 2
        assert train.class_names[7] == name


def test_damage_in_ones_own_folder_is_reported(no_cache, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("MINIDL_DATA", str(tmp_path / "own"))
    put(tmp_path / "own" / "mnist", {**FILES, "train-labels-idx1-ubyte": idx_bytes(LABELS[:4])})
    with pytest.raises(DataError, match=r"as many labels as images.*5 and 4"):
        load_mnist()
    put(tmp_path / "own" / "mnist", {**FILES, "train-labels-idx1-ubyte": idx_bytes(LABELS * 9)})
    with pytest.raises(DataError, match="labels below 10"):
        load_mnist()
    put(tmp_path / "own" / "mnist", {**FILES, "t10k-images-idx3-ubyte": b"junk"})
    with pytest.raises(DataError, match="t10k-images"):
        load_mnist()
    put(tmp_path / "own" / "mnist", FILES)
    for shape in ((5, 0, 3), (0, 3, 3)):
        put(tmp_path / "own" / "mnist", {"train-images-idx3-ubyte": idx_bytes(np.zeros(shape, np.uint8)),
                                         "train-labels-idx1-ubyte": idx_bytes(LABELS[: shape[0]])})  # fmt: skip
        with pytest.raises(DataError, match=r"load_mnist: expected images in .*got none \(train\)"):
            load_mnist()


def test_more_than_the_set_can_be_raises_an_error(no_cache, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("MINIDL_DATA", str(tmp_path / "own"))
    put(tmp_path / "own" / "mnist", {**FILES, "t10k-images-idx3-ubyte": idx_bytes(IMAGES[:3])})
    with pytest.raises(DataError, match="at most 18 values in .*t10k-images"):
        load_mnist()


def test_ones_own_folder_must_hold_the_set(server, monkeypatch, tmp_path) -> None:
    """Neither the cache nor a download takes the place of files that were promised."""
    load_mnist()
    server.requests.clear()
    monkeypatch.setenv("MINIDL_DATA", str(tmp_path / "own"))

    def refused(message: str) -> None:
        with pytest.raises(DataError, match=message) as caught:
            load_mnist()
        assert str(tmp_path / "own" / "mnist") in caught.value.expected
        assert caught.value.fix.endswith("or unset MINIDL_DATA")
        assert not server.requests

    refused("load_mnist: expected train-images-idx3-ubyte, train-labels.*got no folder .*own. Fix: put")
    (tmp_path / "own").write_bytes(b"")
    refused("got no folder .*own. Fix: put")
    (tmp_path / "own").unlink()
    (tmp_path / "own").mkdir()
    refused("got no folder .*mnist. Fix: put")
    (tmp_path / "own" / "mnist").write_bytes(b"")
    refused("got no folder .*mnist. Fix: put")
    (tmp_path / "own" / "mnist").unlink()
    put(tmp_path / "own" / "mnist", {name: FILES[name] for name in list(FILES)[1:3]})
    refused("expected train-images-idx3-ubyte, t10k-labels-idx1-ubyte in .*got no such files")
    monkeypatch.setenv("MINIDL_DATA", "")
    load_mnist()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs on this system")
def test_a_fifo_in_ones_own_folder_raises_an_error(no_cache, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("MINIDL_DATA", str(tmp_path / "own"))
    put(tmp_path / "own" / "mnist", FILES)
    os.mkfifo(tmp_path / "own" / "mnist" / "train-images-idx3-ubyte")
    promptly(load_mnist)


# --- downloads -------------------------------------------------------------------------------------------


class Mirror(http.server.BaseHTTPRequestHandler):
    """Serves what `content` holds for a path: bytes, a number as an HTTP error, or whatever a function does.

    `requests` has the paths that were asked for.  `stopped` is set at the end of a test: what waits waits for it.
    """

    content: dict[str, bytes | int | Callable[[Mirror], None]] = {}
    requests: list[str] = []
    stopped = threading.Event()

    def do_GET(self) -> None:
        self.requests.append(self.path)
        content = self.content.get(self.path, 404)
        if callable(content):
            with suppress(OSError):  # the other side has had enough
                content(self)
        elif isinstance(content, int):
            self.send_error(content)
        else:
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    def log_message(self, *args) -> None:
        pass


@contextmanager
def serving(content: dict[str, bytes | int | Callable[[Mirror], None]]) -> Iterator[str]:
    """The address of a server of this content.  At the end, no thread is left of it, nor of a download."""
    Mirror.requests, Mirror.content, Mirror.stopped = [], content, threading.Event()
    before = set(threading.enumerate())
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Mirror)
    threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{running.server_port}"
    finally:
        Mirror.stopped.set()
        running.shutdown()
        running.server_close()
        for thread in set(threading.enumerate()) - before:
            if type(thread).__name__ != "TMonitor":  # tqdm's, for progress bars on a terminal: it stays
                thread.join(5)
                assert not thread.is_alive()


@pytest.fixture
def server(no_cache, monkeypatch):
    """Two mirrors on this machine, both sound; the digests are those of the small files."""
    content = {f"/{mirror}/{name}.gz": gzip.compress(content) for mirror in "ab" for name, content in FILES.items()}
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}
    with serving(content) as address:
        mirrors = (f"{address}/a/", f"{address}/b/")
        monkeypatch.setattr(sets, "MNIST", replace(sets.MNIST, mirrors=mirrors, sha256=digests))
        yield Mirror


def test_downloaded_once_then_cached(server, no_cache) -> None:
    train, _ = load_mnist()
    np.testing.assert_array_equal(train.y, LABELS)
    assert len(server.requests) == 4
    assert sorted(path.name for path in (no_cache / "mnist").iterdir()) == sorted(f"{name}.gz" for name in FILES)
    load_mnist()
    assert len(server.requests) == 4


@pytest.mark.parametrize("fault", ["refused", "missing", "junk", "truncated", "another file", "empty"])
def test_a_faulty_mirror_gives_way_to_the_next(server, no_cache, fault) -> None:
    path, good = "/a/train-images-idx3-ubyte.gz", FILES["train-images-idx3-ubyte"]
    server.content[path] = {
        "refused": 503, "missing": 404, "junk": b"<html>sign in</html>", "truncated": gzip.compress(good)[:-9],
        "another file": gzip.compress(idx_bytes(IMAGES[::-1].copy())), "empty": b"",
    }[fault]  # fmt: skip
    train, _ = load_mnist()
    np.testing.assert_allclose(train.x, IMAGES[:, None] / np.float32(255))
    assert path in server.requests


@pytest.mark.parametrize("fault", [503, b"<html>sign in</html>"])
def test_when_all_mirrors_fail_nothing_damaged_is_cached(server, no_cache, fault) -> None:
    for mirror in "ab":
        server.content[f"/{mirror}/t10k-labels-idx1-ubyte.gz"] = fault
    with pytest.raises(DataError, match=r"t10k-labels.*/a/.*/b/.*mnist.*load_digits") as caught:
        load_mnist()
    assert str(no_cache / "mnist") in str(caught.value)
    kept = {path.name for path in (no_cache / "mnist").iterdir()}
    assert kept == {f"{name}.gz" for name in FILES} - {"t10k-labels-idx1-ubyte.gz"}  # what was sound, and no scraps
    server.content["/b/t10k-labels-idx1-ubyte.gz"] = gzip.compress(FILES["t10k-labels-idx1-ubyte"])
    server.requests.clear()
    load_mnist()
    assert len(server.requests) == 2  # only what was missing


def test_offline_and_uncached(no_cache) -> None:
    for load, name in ((load_mnist, "mnist"), (load_fashion_mnist, "fashion-mnist")):
        with pytest.raises(DataError, match="load_digits") as caught:
            load()
        assert str(no_cache / name) in str(caught.value)


def test_the_real_digests_are_published_ones() -> None:
    for source in (sets.MNIST, sets.FASHION):
        assert len(source.mirrors) >= 2
        assert sorted(source.sha256) == sorted(FILES) == sorted(sets.SHAPES)
        assert all(len(digest) == 64 for digest in source.sha256.values())


# --- Dataset ---------------------------------------------------------------------------------------------


def data(n: int = 10) -> Dataset:
    return Dataset(np.arange(float(n * 2)).reshape(n, 2), np.arange(n) % 3, ("a", "b", "c"))


def test_take_split_replace() -> None:
    d = data()
    for nothing in ([], np.array([]), 0, slice(0), np.zeros(len(d), bool)):
        assert len(d.take(nothing)) == 0
    for wrong, error, words in (
        ([0.5], DTypeError, "whole numbers.*float64.*astype"),
        ([[0]], ShapeError, r"shape \(1, 1\)"),
        ([True], ShapeError, f"a mask of {len(d)} examples"),
        ([0, len(d)], RangeError, f"from 0 to {len(d)}"),
        ([-len(d) - 1], RangeError, f"numbers of {len(d)} examples"),
    ):
        with pytest.raises(error, match=words):
            d.take(wrong)
    np.testing.assert_array_equal(d.take(3).x, d.x[:3])
    np.testing.assert_array_equal(d.take(np.array([5, 1])).y, d.y[[5, 1]])
    np.testing.assert_array_equal(d.take(d.y == 2).x, d.x[d.y == 2])
    first, second = d.split(0.3, seed=1)
    assert (len(first), len(second)) == (3, 7)
    together = np.concatenate([first.x, second.x])
    np.testing.assert_array_equal(np.sort(together[:, 0]), d.x[:, 0])
    np.testing.assert_array_equal(d.split(0.3, seed=1)[0].x, first.x)
    assert not np.array_equal(d.split(0.3, seed=2)[0].x, first.x)
    assert [len(part) for part in d.split(0.0)] == [0, 10]
    np.testing.assert_array_equal(d.replace(x=d.x + 1).y, d.y)
    assert "10 examples" in repr(d)


def test_batches() -> None:
    d = data()
    batches = d.batches(4)
    assert len(batches) == 3
    assert [len(y) for _, y in batches] == [4, 4, 2]
    assert [len(y) for _, y in d.batches(4, drop_last=True)] == [4, 4]
    shuffled = list(d.batches(4, np.random.default_rng(0)))
    np.testing.assert_array_equal(np.sort(np.concatenate([x[:, 0] for x, _ in shuffled])), d.x[:, 0])
    assert all((y == x[:, 0] // 2 % 3).all() for x, y in shuffled)  # images keep their labels
    assert list(data(0).batches(4)) == []


def test_a_dataset_is_frozen_and_consistent() -> None:
    d = data()
    with pytest.raises(AttributeError):
        d.x = d.x  # type: ignore[misc]
    for x, y, error in (
        (d.x.astype(int), d.y, DTypeError), (d.x, d.y.astype(float), DTypeError), ([1.0], d.y, DTypeError),
        (d.x, d.y[:3], ShapeError), (d.x[:, 0], d.y, ShapeError), (d.x, d.y + 1, RangeError), (d.x, d.y - 1, RangeError),
    ):  # fmt: skip
        with pytest.raises(error):
            Dataset(x, y, ("a", "b", "c"))
    with pytest.raises(RangeError, match="fraction"):
        d.split(1.5)
    with pytest.raises(RangeError, match="size"):
        d.batches(0)


#: Wrong on purpose, each beside the law of this file that must catch it: see `test_mutants`.
# fmt: off
MUTANTS = [
    Mutant("IDX: little-endian lengths", line(idx, "_read", '">{rank}I"', '"<{rank}I"'), test_round_trip),
    Mutant("IDX: surplus bytes are accepted", line(idx, "_read", "len(values) != size", "len(values) < size"), test_oversized),
]
# fmt: on
