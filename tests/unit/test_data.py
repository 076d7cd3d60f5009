"""Data: the bundled digits, the IDX reader, where files are looked for, and downloads gone wrong."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from minidl.data import Dataset, load_digits, load_fashion_mnist, load_mnist, sets
from minidl.data.idx import read_idx
from minidl.errors import DataError, DTypeError, RangeError, ShapeError


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


def broken(tmp_path, content: bytes, message: str, rank: int = 3) -> None:
    for name, written in (("plain", content), ("zipped", gzip.compress(content))):
        (tmp_path / name).write_bytes(written)
        with pytest.raises(DataError, match=message):
            read_idx(tmp_path / name, rank)


@pytest.mark.parametrize("magic", [b"\0\0\x08\x01", b"\0\0\x0d\x03", b"\x01\0\x08\x03", b"\x7fELF", b"\0\0"])
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


def test_missing(tmp_path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_idx(tmp_path / "nothing", 3)


# --- one's own folder ------------------------------------------------------------------------------------


def put(folder: Path, files: dict[str, bytes], zipped: bool = True) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / (f"{name}.gz" if zipped else name)).write_bytes(gzip.compress(content) if zipped else content)


@pytest.fixture
def no_cache(monkeypatch, tmp_path) -> Path:
    """An empty cache, and no network unless a test brings its own."""
    monkeypatch.delenv("MINIDL_DATA", raising=False)
    monkeypatch.setattr(sets, "cache_folder", lambda: tmp_path / "cache")
    for name in ("MNIST", "FASHION"):
        monkeypatch.setattr(
            sets, name, replace(getattr(sets, name), mirrors=("http://127.0.0.1:9/", "http://127.0.0.1:9/b/"))
        )
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


def test_damage_in_ones_own_folder_is_told(no_cache, monkeypatch, tmp_path) -> None:
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


# --- downloads -------------------------------------------------------------------------------------------


class Mirror(http.server.BaseHTTPRequestHandler):
    """Serves what `content` holds for a path: bytes, or a number as an HTTP error; counts requests."""

    content: dict[str, bytes | int] = {}
    requests: list[str] = []

    def do_GET(self) -> None:
        self.requests.append(self.path)
        found = self.content.get(self.path, 404)
        if isinstance(found, int):
            self.send_error(found)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(found)))
        self.end_headers()
        self.wfile.write(found)

    def log_message(self, *args) -> None:
        pass


@pytest.fixture
def server(no_cache, monkeypatch):
    """Two mirrors on this machine, both sound; the digests are those of the small files."""
    Mirror.requests = []
    Mirror.content = {
        f"/{mirror}/{name}.gz": gzip.compress(content) for mirror in "ab" for name, content in FILES.items()
    }
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Mirror)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{running.server_port}"
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}
    monkeypatch.setattr(sets, "MNIST", replace(sets.MNIST, mirrors=(f"{address}/a/", f"{address}/b/"), sha256=digests))
    yield Mirror
    running.shutdown()
    running.server_close()


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
        assert sorted(source.sha256) == sorted(FILES)
        assert all(len(digest) == 64 for digest in source.sha256.values())


# --- Dataset ---------------------------------------------------------------------------------------------


def data(n: int = 10) -> Dataset:
    return Dataset(np.arange(float(n * 2)).reshape(n, 2), np.arange(n) % 3, ("a", "b", "c"))


def test_take_split_replace() -> None:
    d = data()
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
