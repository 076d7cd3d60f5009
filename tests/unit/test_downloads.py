"""Downloads from servers that do everything wrong, and caches that cannot be written into."""

from __future__ import annotations

import _thread
import errno
import gzip
import hashlib
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain, repeat
from pathlib import Path

import numpy as np
import pytest
import requests  # noqa: F401  pooch imports it with the first download, for which some of these tests leave little time

from minidl.data import cifar, download, load_cifar10, load_mnist, sets
from minidl.errors import DataError
from tests.unit import test_cifar, test_data
from tests.unit.test_data import FILES, IMAGES, SMALL, Mirror, idx_bytes, little_memory, serving

Answer = Callable[[Mirror], None]
NAME = "train-images-idx3-ubyte"
ARCHIVE = test_cifar.archive(test_cifar.FILES)
TOO_MUCH = 2**25  # bytes after which an endless answer gives up: a test is to fail, not to hang


# --- answers ---------------------------------------------------------------------------------------------


def reply(body: bytes, *headers: str, status: str = "200 OK") -> Answer:
    head = "".join(f"{line}\r\n" for line in (f"HTTP/1.1 {status}", *headers)) + "\r\n"
    return lambda mirror: mirror.wfile.write(head.encode("latin-1") + body)


def redirect(location: str, body: bytes = b"") -> Answer:
    return reply(body, f"Location: {location}", f"Content-Length: {len(body)}", status="302 Found")


def endlessly(answer: Answer, piece: bytes) -> Answer:
    def run(mirror: Mirror) -> None:
        answer(mirror)
        for _ in range(TOO_MUCH // len(piece)):
            mirror.wfile.write(piece)
        mirror.requests.append("to the end")

    return run


def drip(start: bytes, piece: bytes = b"x") -> Answer:
    """More often than any timeout of a read, and for much longer than any deadline of these tests."""

    def run(mirror: Mirror) -> None:
        for drop in chain([start], repeat(piece, 1500)):
            mirror.wfile.write(drop)
            if mirror.stopped.wait(0.02):
                return

    return run


def silence(mirror: Mirror) -> None:
    mirror.stopped.wait(10)


def waiting(answer: Answer) -> Answer:
    """An answer after which the connection stays open."""
    return lambda mirror: (answer(mirror), silence(mirror))[0]


def reset(body: bytes) -> Answer:
    """A connection that breaks, and is not closed, in the middle of the body."""

    def run(mirror: Mirror) -> None:
        reply(body[: len(body) // 2], f"Content-Length: {len(body)}")(mirror)
        at_once = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
        mirror.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
        mirror.connection.close()

    return run


def start_line(mirror: Mirror) -> None:
    mirror.wfile.write(b"HTTP/1.1 200 OK\r\n")


CHUNKED = "Transfer-Encoding: chunked"
REDIRECTS = {
    "an IPv6 address cut short": "http://[::1", "a port too high": "http://127.0.0.1:99999999/",
    "a negative port": "http://127.0.0.1:-5/", "a port that is a word": "http://127.0.0.1:http/",
    "an unknown scheme": "gopher://127.0.0.1/", "a file": "file:///etc/passwd", "no host": "http://",
    "a host of dots": "http://.../", "a long label": f"http://{'a' * 70}.b/",
    "no UTF-8": "\xff\xfe", "no server": "http://127.0.0.1:9/", "a loop": "?", "nothing": "", "a backslash": "\\",
}  # fmt: skip
FAULTS: dict[str, Callable[[bytes], Answer]] = {
    **{f"redirected to {name}": lambda good, to=to: redirect(to) for name, to in REDIRECTS.items()},
    "redirected to the same place": lambda good: lambda mirror: redirect(mirror.path)(mirror),
    "redirected with an endless body": lambda good: endlessly(
        reply(b"", "Location: /x", status="302 Found"), bytes(2**16)
    ),
    "redirected with endless chunks": lambda good: endlessly(
        reply(b"", "Location: /x", CHUNKED, status="301 Moved"), b"10000\r\n" + bytes(2**16) + b"\r\n"
    ),
    "a length that is no number": lambda good: reply(good, "Content-Length: many"),
    "a length of thousands of digits": lambda good: reply(good, f"Content-Length: {'9' * 5000}"),
    "a negative length": lambda good: reply(good[:-9], "Content-Length: -5"),
    "a length too small": lambda good: reply(good, f"Content-Length: {len(good) // 2}"),
    "a length too large": lambda good: reply(good[:-9], f"Content-Length: {len(good)}"),
    "two lengths": lambda good: reply(good, "Content-Length: 5", f"Content-Length: {len(good)}"),
    "an endless body": lambda good: endlessly(reply(good), bytes(2**16)),
    "endless chunks": lambda good: endlessly(reply(b"", CHUNKED), b"10000\r\n" + bytes(2**16) + b"\r\n"),
    "an endless length of a chunk": lambda good: endlessly(reply(b"", CHUNKED), b"0" * 2**16),
    "a chunk of negative length": lambda good: endlessly(reply(b"-1\r\n", CHUNKED), bytes(2**16)),
    "an error in chunks": lambda good: reply(b"5\r\nsorry\r\n0\r\n\r\n", CHUNKED, status="503 Busy"),
    "a chunk of nonsense": lambda good: reply(b"nonsense\r\n" + good, CHUNKED),
    "endless headers": lambda good: endlessly(start_line, b"X: y\r\n" * 2**12),
    "an endless header": lambda good: endlessly(start_line, b"x" * 2**16),
    "a body said to be packed": lambda good: reply(gzip.compress(good), "Content-Encoding: gzip"),
    "HTML": lambda good: reply(b"<html>sign in</html>", "Content-Type: text/html"),
    "nothing": lambda good: lambda mirror: None,
    "an empty body": lambda good: reply(b"", "Content-Length: 0"),
    "no HTTP": lambda good: lambda mirror: mirror.wfile.write(b"\x00\x01\x02 \xff\r\n\r\n"),
    "a status that is no number": lambda good: reply(good, status="fine OK"),
    "an error of the server": lambda good: reply(b"sorry", status="500 Internal Server Error"),
    "an error at length": lambda good: reply(b"", status=f"500 {'sorry ' * 1000}"),
    "no content": lambda good: reply(b"", status="204 No Content"),
    "a part of the content": lambda good: reply(good[:-20], status="206 Partial Content"),
    "a reset in the middle": lambda good: reset(good),
    "an end in the middle": lambda good: reply(good[: len(good) // 2]),
    "bytes behind the end": lambda good: reply(good + b"garbage"),
    "a damaged bit": lambda good: reply(good[:20] + bytes([good[20] ^ 1]) + good[21:]),
    "another file": lambda good: reply(gzip.compress(idx_bytes(IMAGES[::-1].copy()))),
    "a bomb": lambda good: reply(gzip.compress(gzip.decompress(good) + bytes(TOO_MUCH), 1)),
    "a body said to be a bomb": lambda good: reply(gzip.compress(bytes(TOO_MUCH), 1), "Content-Encoding: gzip"),
}
SLOW: dict[str, Callable[[bytes], Answer]] = {
    "silence": lambda good: silence,
    "a drip in the body": lambda good: drip(b"HTTP/1.1 200 OK\r\n\r\n"),
    "a drip in chunks": lambda good: drip(f"HTTP/1.1 200 OK\r\n{CHUNKED}\r\n\r\n".encode(), b"1\r\nx\r\n"),
    "a drip in a header": lambda good: drip(b"HTTP/1.1 200 OK\r\nX: "),
    "a drip in the status": lambda good: drip(b"HTTP/1.1 "),
    "a drip of provisional answers": lambda good: drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "a drip of redirects": lambda good: drip(b"HTTP/1.1 302 Found\r\nLocation: /x\r\nX: "),
    "a length too large, and silence": lambda good: waiting(reply(good, f"Content-Length: {len(good) + 9}")),
}


# --- the two loaders that download -----------------------------------------------------------------------


@pytest.fixture
def cache(monkeypatch, tmp_path) -> Iterator[Path]:
    """The cache, empty.  MNIST from the mirrors a and b, CIFAR-10 from one address, all sound and small."""
    monkeypatch.delenv("MINIDL_DATA", raising=False)
    content = {f"/{mirror}/{name}.gz": gzip.compress(content) for mirror in "ab" for name, content in FILES.items()}
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}
    for module in (sets, cifar):
        monkeypatch.setattr(module, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(cifar, "MOST", 10)
    monkeypatch.setattr(cifar, "SHA256", hashlib.sha256(ARCHIVE).hexdigest())
    with serving({**content, "/cifar": ARCHIVE}) as address:
        mirrors = (f"{address}/a/", f"{address}/b/")
        monkeypatch.setattr(sets, "MNIST", replace(sets.MNIST, mirrors=mirrors, sha256=digests, shapes=SMALL))
        monkeypatch.setattr(cifar, "URL", f"{address}/cifar")
        yield tmp_path / "cache"


def scraps(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.rglob("*") if path.is_file() or path.parent != cache)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    start = time.monotonic()
    yield
    assert time.monotonic() - start < seconds


def spoil(paths: list[str], fault: Callable[[bytes], Answer]) -> None:
    for path in paths:
        Mirror.content[path] = fault(Mirror.content[path])


def deadline(monkeypatch, seconds: float) -> None:
    monkeypatch.setattr(download, "PATIENCE", seconds)
    monkeypatch.setattr(download, "SLOWEST", 1e12)


# --- faults of servers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_a_mirror_leads_to_the_next(cache, fault) -> None:
    spoil([f"/a/{NAME}.gz"], FAULTS[fault])
    with little_memory():
        train, _ = load_mnist()
    np.testing.assert_allclose(train.x, IMAGES[:, None] / np.float32(255))
    assert next(path for path in Mirror.requests if NAME in path) == f"/a/{NAME}.gz"
    assert f"/b/{NAME}.gz" in Mirror.requests
    assert "to the end" not in Mirror.requests


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_all_mirrors_is_one_error(cache, fault) -> None:
    spoil([f"/a/{NAME}.gz", f"/b/{NAME}.gz"], FAULTS[fault])
    with little_memory(), pytest.raises(DataError) as caught:
        load_mnist()
    error = caught.value
    assert (error.operation, error.expected) == ("load_mnist", f"to download {NAME}.gz")
    a, b = error.got.split("; http://")
    assert f"/a/{NAME}.gz: " in a
    assert f"/b/{NAME}.gz: " in b
    assert len(error.got) < 1000
    assert str(cache / "mnist") in error.fix
    assert isinstance(error.__cause__, Exception)
    assert not scraps(cache)
    assert "to the end" not in Mirror.requests


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_cifar10s_only_address_is_an_error(cache, fault) -> None:
    spoil(["/cifar"], FAULTS[fault])
    with (
        little_memory(),
        pytest.raises(DataError, match=r"load_cifar10: expected to download CIFAR-10, got http:.*/cifar: "),
    ):
        load_cifar10()
    assert not scraps(cache)
    assert "to the end" not in Mirror.requests


@pytest.mark.parametrize("fault", SLOW)
def test_a_slow_mirror_is_left_at_the_deadline(cache, monkeypatch, fault) -> None:
    deadline(monkeypatch, 0.4)
    spoil([f"/a/{NAME}.gz"], SLOW[fault])
    with within(20):
        train, _ = load_mnist()
    np.testing.assert_allclose(train.x, IMAGES[:, None] / np.float32(255))
    assert f"/b/{NAME}.gz" in Mirror.requests


@pytest.mark.parametrize("fault", SLOW)
def test_when_all_mirrors_are_slow_that_is_one_error(cache, monkeypatch, fault) -> None:
    deadline(monkeypatch, 0.2)
    spoil([f"/a/{NAME}.gz", f"/b/{NAME}.gz", "/cifar"], SLOW[fault])
    for load, listed in ((load_mnist, r"/a/.*/b/"), (load_cifar10, "/cifar")):
        with within(20), pytest.raises(DataError, match=listed):
            load()
    assert not scraps(cache)


def test_the_deadline_grows_with_what_the_file_can_be(cache, monkeypatch) -> None:
    monkeypatch.setattr(download, "PATIENCE", 0.1)
    monkeypatch.setattr(download, "SLOWEST", 610)  # bytes a second; the file has 61
    spoil([f"/{mirror}/{NAME}.gz" for mirror in "ab"], SLOW["a drip in the body"])
    with pytest.raises(DataError, match=r"a/.*not all there after 0\.2 seconds.*b/.*not all there after 0\.2 seconds"):
        load_mnist()


def test_what_comes_after_the_deadline_is_not_kept(cache, monkeypatch) -> None:
    deadline(monkeypatch, 0.2)
    before = set(threading.enumerate())
    good = Mirror.content["/cifar"]
    Mirror.content["/cifar"] = lambda mirror: (silence(mirror), reply(good)(mirror))[0]
    with pytest.raises(DataError, match="/cifar"):
        load_cifar10()
    Mirror.stopped.set()
    for thread in set(threading.enumerate()) - before:
        thread.join(5)
    assert not scraps(cache)


def test_a_download_that_was_left_hangs_up(cache, monkeypatch) -> None:
    deadline(monkeypatch, 0.2)
    noticed = threading.Event()

    def pour(mirror: Mirror) -> None:
        try:
            drip(b"HTTP/1.1 200 OK\r\n\r\n", bytes(2**11))(mirror)
        except OSError:
            noticed.set()

    Mirror.content["/cifar"] = pour
    with pytest.raises(DataError, match="not all there"):
        load_cifar10()
    assert noticed.wait(5)


def test_redirects_to_the_file_are_followed(cache) -> None:
    Mirror.content[f"/c/{NAME}.gz"] = Mirror.content[f"/b/{NAME}.gz"]
    spoil([f"/a/{NAME}.gz"], lambda good: redirect(f"/c/{NAME}.gz", b"moved"))
    spoil([f"/b/{NAME}.gz"], FAULTS["HTML"])
    load_mnist()
    assert f"/c/{NAME}.gz" in Mirror.requests


def test_a_body_is_taken_as_it_is_sent(cache) -> None:
    """Servers that know .gz say "packed" of files that are; to unpack these on the way would be wrong."""
    spoil(["/cifar"], lambda good: reply(good, "Content-Encoding: x-gzip"))
    load_cifar10()


DRIP_AND_EXIT = """
import sys
from minidl.data import download
download.PATIENCE = 0.2
try:
    download.fetch("test", "a file", [sys.argv[1]], 100, lambda content: content, "none")
except download.DataError as error:
    print(error)
"""


@pytest.mark.parametrize("fault", ["a drip in a header", "a drip in the body"])
def test_an_abandoned_download_does_not_keep_the_interpreter(cache, fault) -> None:
    spoil(["/cifar"], SLOW[fault])
    done = subprocess.run([sys.executable, "-W", "error", "-c", DRIP_AND_EXIT, cifar.URL],
                          capture_output=True, text=True, timeout=20, check=False)  # fmt: skip
    assert "expected to download a file, got http" in done.stdout
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("fault", ["a drip in a header", "a drip in the body"])
def test_ctrl_c_has_effect_at_once(cache, fault) -> None:
    drip_of = SLOW[fault](b"")
    Mirror.content["/cifar"] = lambda mirror: (_thread.interrupt_main(), drip_of(mirror))[0]
    with within(20), pytest.raises(KeyboardInterrupt):
        load_cifar10()
    assert not scraps(cache)


# --- the cache -------------------------------------------------------------------------------------------

LOADERS = {"mnist": load_mnist, "cifar-10-batches-bin": load_cifar10}


def refused(load: Callable[[], object], place: Path) -> None:
    with pytest.raises(DataError, match=f"{load.__name__}: expected to write into ") as caught:
        load()
    assert str(place) in caught.value.expected
    assert caught.value.fix.startswith(f"make room in {place}")
    assert isinstance(caught.value.__cause__, OSError)


@pytest.mark.parametrize("name", LOADERS)
def test_a_cache_that_is_a_file(cache, name) -> None:
    cache.write_bytes(b"")
    refused(LOADERS[name], cache / name)
    assert not Mirror.requests  # what cannot be kept is not downloaded
    cache.unlink()
    cache.mkdir()
    (cache / name).write_bytes(b"")
    refused(LOADERS[name], cache / name)


@pytest.mark.parametrize("name", LOADERS)
def test_a_cache_within_a_file(cache, name, monkeypatch, tmp_path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for module in (sets, cifar):
        monkeypatch.setattr(module, "cache_folder", lambda: tmp_path / "file" / "minidl")
    refused(LOADERS[name], tmp_path / "file" / "minidl" / name)


@pytest.mark.parametrize("name", LOADERS)
def test_a_cache_one_may_not_write_into(cache, name, monkeypatch) -> None:
    def denied(path: str, *arguments: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", path)

    (cache / name).mkdir(parents=True)
    with monkeypatch.context() as patch:
        patch.setattr(os, "mkdir", denied)  # as root, every folder may be written into
        refused(LOADERS[name], cache / name)
    LOADERS[name]()
    with monkeypatch.context() as patch:
        for change in ("mkdir", "replace", "rename", "unlink"):
            patch.setattr(os, change, denied)
        LOADERS[name]()  # it is all there


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="every folder may be written into")
@pytest.mark.parametrize("name", LOADERS)
def test_a_cache_that_is_read_only(cache, name) -> None:
    cache.mkdir()
    cache.chmod(0o500)
    refused(LOADERS[name], cache / name)
    cache.chmod(0o700)
    LOADERS[name]()
    (cache / name).chmod(0o500)
    LOADERS[name]()
    (cache / name).chmod(0o700)


@pytest.mark.parametrize("name", LOADERS)
def test_a_full_disk(cache, name, monkeypatch) -> None:
    def full(path: Path, content: bytes) -> int:
        with open(path, "wb") as file:
            file.write(content[:20])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    refused(LOADERS[name], cache / name)
    assert not scraps(cache)


@pytest.mark.parametrize("name", LOADERS)
def test_damage_in_the_cache_is_reported(cache, name) -> None:
    LOADERS[name]()
    for path in (cache / name).iterdir():
        content = path.read_bytes()
        for damage in (content[:-3], b"", content + b"garbage"):
            path.write_bytes(damage)
            with pytest.raises(DataError) as caught:
                LOADERS[name]()
            assert str(path) in str(caught.value)
        path.unlink()
        path.mkdir()
        with pytest.raises(DataError, match="got a folder") as caught:
            LOADERS[name]()
        assert str(path) in str(caught.value)
        path.rmdir()
        path.write_bytes(content)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs on this system")
@pytest.mark.parametrize("name", LOADERS)
def test_a_fifo_in_the_cache_raises_an_error(cache, name) -> None:
    LOADERS[name]()
    path = max((cache / name).iterdir())
    path.unlink()
    os.mkfifo(path)
    test_data.promptly(LOADERS[name])
