"""Files: networks come back whole or not at all; nothing is half written, nothing unpickled."""

from __future__ import annotations

import io
import json
import os
import pickle
import subprocess
import sys
import tempfile
import time
import tracemalloc
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minidl
from attacks import AttackResult
from attacks.evolution import FoolingResult
from minidl import files, layers, models
from minidl.errors import DataError, DTypeError, ShapeError
from minidl.files import atomically
from minidl.npz import write_archive
from minidl.testing import Mutant, line
from tests.unit.test_threads import pressing


def network() -> models.Sequential:
    return models.Sequential(
        layers.Flatten(), layers.Dropout(0.25), layers.Dense(5, init_weights=layers.He()), layers.Tanh(),
        layers.Dense(4, bias=False, init_weights=layers.Normal(0.5)), layers.Sigmoid(), layers.Dense(3), layers.Softmax(),
        input_shape=(1, 2, 3), seed=1, dtype="float64",
    )  # fmt: skip


def test_round_trip(tmp_path) -> None:
    for net in (network(), models.mlp((1, 3, 3), 4, (5,)), models.softmax_regression(6, 2)):
        minidl.save(net, tmp_path / "net")
        again = minidl.load(tmp_path / "net")
        assert repr(again) == repr(net)
        x = np.random.default_rng(0).random((3, *net.input_shape)).astype(net.dtype)
        np.testing.assert_array_equal(again(x), net(x))
        assert [(n, w.dtype) for n, w in again.params.items()] == [(n, w.dtype) for n, w in net.params.items()]
    assert os.listdir(tmp_path) == ["net"]  # the name as given, and no scraps


def test_other_tools_find_plain_arrays(tmp_path) -> None:
    net = network()
    minidl.save(net, tmp_path / "net.npz")
    with np.load(tmp_path / "net.npz", allow_pickle=False) as archive:
        for name, w in net.params.items():
            np.testing.assert_array_equal(archive[name], w)


def saved(tmp_path) -> bytes:
    minidl.save(network(), tmp_path / "net.npz")
    return (tmp_path / "net.npz").read_bytes()


def refused(tmp_path, content: bytes, message: str = "load") -> None:
    (tmp_path / "bad.npz").write_bytes(content)
    with pytest.raises(DataError, match=message):
        minidl.load(tmp_path / "bad.npz")


def test_truncated(tmp_path) -> None:
    content = saved(tmp_path)
    for cut in [0, 1, 3, 4, 30, *range(50, len(content), 101), len(content) - 1]:
        refused(tmp_path, content[:cut])


def test_flipped_bytes_are_noticed_or_harmless(tmp_path) -> None:
    """Every byte in turn: either a `DataError`, or (in the zip's own slack) the very same network."""
    content, net = saved(tmp_path), network()
    for place in range(0, len(content), 7):
        flipped = bytearray(content)
        flipped[place] ^= 0xFF
        (tmp_path / "bad.npz").write_bytes(bytes(flipped))
        try:
            again = minidl.load(tmp_path / "bad.npz")
        except DataError:
            continue
        assert all(np.array_equal(again.params[name], w) for name, w in net.params.items())


def rewritten(tmp_path, change, **arrays) -> bytes:
    """The saved network with another header, or other arrays."""
    with np.load(io.BytesIO(saved(tmp_path)), allow_pickle=False) as archive:
        entries = {name: archive[name] for name in archive.files}
    header = json.loads(str(entries["minidl"]))
    header = change(header) or header
    entries |= {"minidl": np.array(json.dumps(header)), **arrays}
    out = io.BytesIO()
    np.savez(out, **{name: value for name, value in entries.items() if value is not None})
    return out.getvalue()


def test_foreign_files(tmp_path) -> None:
    out = io.BytesIO()
    np.savez(out, weights=np.ones(3))
    refused(tmp_path, out.getvalue(), "foreign")
    refused(tmp_path, b"PK\x03\x04 but not a zip", "damaged")
    refused(tmp_path, b"just text", "not an .npz")
    out = io.BytesIO()
    np.save(out, np.ones(3))
    refused(tmp_path, out.getvalue(), "not an .npz")
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("readme.txt", "hello")
    refused(tmp_path, out.getvalue(), "foreign")
    with pytest.raises(DataError, match="no such file"):
        minidl.load(tmp_path / "nothing.npz")
    with pytest.raises(DataError):
        minidl.load(tmp_path)  # a folder


class Bomb:
    """Pickled, this would leave a mark when it is unpickled."""

    def __reduce__(self):
        return (os.mkdir, (os.environ["MINIDL_TEST_MARK"],))


def test_nothing_is_unpickled(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("MINIDL_TEST_MARK", str(tmp_path / "mark"))
    refused(tmp_path, pickle.dumps(Bomb()))
    out = io.BytesIO()
    np.savez(out, minidl=np.array([Bomb()], dtype=object))
    refused(tmp_path, out.getvalue(), "dtype object")
    refused(tmp_path, rewritten(tmp_path, lambda h: h, **{"dense1.W": np.array([Bomb()] * 30, dtype=object)}))
    assert not (tmp_path / "mark").exists()


def test_parameters_must_fit(tmp_path) -> None:
    for name, value in (
        ("dense1.W", np.zeros((6, 4))), ("dense1.W", np.zeros((6, 5), np.float32)), ("dense1.W", None),
        ("dense9.W", np.zeros(3)),
    ):  # fmt: skip
        refused(tmp_path, rewritten(tmp_path, lambda h: h, **{name: value}), f"parameters of its layers.*{name}")


def test_headers_must_make_sense(tmp_path) -> None:
    changes = [
        lambda h: h.update(kind="checkpoint"), lambda h: h.update(version=3), lambda h: h.pop("kind"), lambda h: [1, 2],
        lambda h: h.pop("layers"), lambda h: h["layers"].append({"kind": "Explode"}), lambda h: h["layers"].append("Dense"),
        lambda h: h["layers"].append({"kind": "Dense", "units": -1}), lambda h: h["layers"].append({"kind": "Dense"}),
        lambda h: h["layers"].append({"kind": "Dense", "units": "many"}), lambda h: h["layers"].append({"kind": "Normal"}),
        lambda h: h["layers"].append({"kind": "Dropout", "rate": None}), lambda h: h.update(dtype="nonsense"),
        lambda h: h.update(input_shape=[7]), lambda h: h.update(input_shape=None), lambda h: h.update(layers=[]),
        lambda h: h["layers"].append({"kind": "Dense", "units": 10**15}),
    ]  # fmt: skip
    for change in changes:
        refused(tmp_path, rewritten(tmp_path, change))


def test_an_npy_headers_length_byte(tmp_path) -> None:
    """As it was met: one bit of it, and all 50,176 weights were others; nothing was read to its end, and so no CRC."""
    net = models.mlp((1, 8, 8), 4, (16,), seed=3)
    minidl.save(net, tmp_path / "net.npz")
    content = (tmp_path / "net.npz").read_bytes()
    start = content.index(b"\x93NUMPY", content.index(b"dense1.W.npy"))
    for bit in range(16):
        flipped = bytearray(content)
        flipped[start + 8 + bit // 8] ^= 1 << bit % 8
        refused(tmp_path, bytes(flipped))


def test_every_bit_of_the_headers(tmp_path) -> None:
    content, net = saved(tmp_path), network()
    for place in range(0, len(content), 5):
        flipped = bytearray(content)
        flipped[place] ^= 1 << place % 8
        (tmp_path / "bad.npz").write_bytes(bytes(flipped))
        try:
            again = minidl.load(tmp_path / "bad.npz")
        except DataError:
            continue
        assert repr(again) == repr(net)
        assert all(np.array_equal(again.params[name], w) for name, w in net.params.items())


def test_what_was_changed_with_care_is_noticed_by_the_digest(tmp_path) -> None:
    """Sound as an archive, with checksums of its own; but not what was saved."""
    other = np.random.default_rng(0).normal(size=(6, 5))
    refused(tmp_path, rewritten(tmp_path, lambda h: h, **{"dense1.W": other}), "as it was saved.*SHA-256 differs")
    for change in (lambda h: h["layers"][1].update(rate=0.5), lambda h: h.pop("sha256") and h):
        refused(tmp_path, rewritten(tmp_path, change), "as it was saved.*SHA-256 differs")


def test_members_that_say_they_are_larger_than_the_file(tmp_path) -> None:
    """zipfile would make room for all of it: 2^29 bytes, by one bit."""
    content = saved(tmp_path)
    entry = content.rindex(b"PK\x01\x02", 0, content.rindex(b"PK\x01\x02"))
    swollen = bytearray(content)
    swollen[entry + 23] ^= 1 << 5
    (tmp_path / "bad.npz").write_bytes(bytes(swollen))
    assert peak_of(lambda: minidl.load(tmp_path / "bad.npz")) < 2**20


def older(header: dict) -> dict:
    """As earlier versions wrote it: without a digest, and with classes known by their bare names."""
    header = {name: value for name, value in header.items() if name != "sha256"} | {"version": 1}
    for layer in header["layers"]:
        layer["kind"] = layer["kind"].rpartition(".")[2]
    return header


def test_older_files_load(tmp_path) -> None:
    (tmp_path / "old.npz").write_bytes(rewritten(tmp_path, older))
    again = minidl.load(tmp_path / "old.npz")
    assert repr(again) == repr(network())
    assert all(np.array_equal(again.params[name], w) for name, w in network().params.items())


# --- hostile files ---------------------------------------------------------------------------------------


def peak_of(call) -> int:
    """The most bytes that Python and NumPy held at once during a call that ends with a `DataError`."""
    tracemalloc.start()
    try:
        with pytest.raises(DataError):
            call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def archive(entries: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    return archive_of(list(entries.items()), compression)


def archive_of(entries: list[tuple[str, bytes]], compression: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as members:
        for name, content in entries:
            members.writestr(name, content)
    return out.getvalue()


def entries_of(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as members:
        return {name: members.read(name) for name in members.namelist()}


def npy(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def test_a_few_bytes_that_name_a_huge_network(tmp_path) -> None:
    """2 kB that name Dense(50_000_000) cost 2 kB, in any layer, with and without a digest."""
    for change in (
        lambda h: h["layers"].append({"kind": "Dense", "units": 50_000_000}),
        lambda h: h.update(layers=[{"kind": "Flatten"}, {"kind": "Dense", "units": 50_000_000}]),
        lambda h: h.update(layers=[{"kind": "Conv2d", "channels": 50_000_000, "size": 2}], input_shape=[300, 2, 2]),
        lambda h: h.update(older(h) | {"layers": [{"kind": "Dense", "units": 10**9}], "input_shape": [10**9]}),
    ):
        (tmp_path / "huge.npz").write_bytes(rewritten(tmp_path, change))
        assert peak_of(lambda: minidl.load(tmp_path / "huge.npz")) < 2**20


@pytest.mark.slow
def test_archives_that_swell(tmp_path) -> None:
    """Zeros that were deflated to a thousandth: for a network, for any other file, and for a header."""
    zeros, entries = npy(np.zeros((6, 5 * 10**6))), entries_of(saved(tmp_path))
    for swollen in (
        entries | {"dense1.W.npy": zeros}, entries | {"another.npy": zeros},
        entries | {"minidl.npy": npy(np.array("{" + " " * 2 * 10**7))},
    ):  # fmt: skip
        (tmp_path / "bomb.npz").write_bytes(archive(swollen, zipfile.ZIP_DEFLATED))
        assert peak_of(lambda: minidl.load(tmp_path / "bomb.npz")) < 2**20
    header = npy(np.array(json.dumps({"kind": "attack", "version": 1})))
    (tmp_path / "bomb.npz").write_bytes(archive({"minidl.npy": header, "x.npy": zeros}, zipfile.ZIP_DEFLATED))
    assert peak_of(lambda: AttackResult.load(tmp_path / "bomb.npz")) < 2**20


def test_a_network_that_others_have_deflated_loads(tmp_path) -> None:
    (tmp_path / "small.npz").write_bytes(archive(entries_of(saved(tmp_path)), zipfile.ZIP_DEFLATED))
    assert all(np.array_equal(minidl.load(tmp_path / "small.npz").params[n], w) for n, w in network().params.items())


def test_members_that_are_no_arrays(tmp_path) -> None:
    entries = entries_of(saved(tmp_path))
    refused(tmp_path, archive(entries | {"README.md": b"# hello"}), "arrays alone, got 'README.md'.*take it out")
    refused(tmp_path, archive(entries | {"dense1.W.npy": b"# hello"}), "damaged or foreign")
    for compression in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        refused(tmp_path, archive(entries, compression), "stored or deflated")
    with pytest.warns(UserWarning, match="Duplicate name"):
        twice = archive_of([*entries.items(), *entries.items()])
    refused(tmp_path, twice, "each array once")
    for wrong in (np.array(["a"]), np.array([1 + 2j]), np.zeros(2, "datetime64[s]"), np.zeros(2, [("a", "f8")])):
        refused(tmp_path, archive(entries | {"dense1.W.npy": npy(wrong)}))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
def test_fifos_folders_and_devices_are_not_waited_for(tmp_path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", tmp_path, "/dev/zero"):
        for load in (minidl.load, AttackResult.load, FoolingResult.load):
            with pytest.raises(DataError, match="regular file|folder|no such file"):
                load(path)


# --- layers by name --------------------------------------------------------------------------------------


def test_a_layer_of_ones_own_does_not_change_what_files_mean(tmp_path) -> None:
    """Here two classes are called ReLU; each file means the one it was saved with."""

    @dataclass(frozen=True)
    class ReLU(layers.Layer):
        def apply(self, params, x, rng=None):
            return x * 2.0

    x = -np.ones((1, 2))
    for one in (ReLU(), layers.ReLU()):
        minidl.save(models.Sequential(one, input_shape=2, dtype="float64"), tmp_path / "net")
        net = minidl.load(tmp_path / "net")
        assert type(net.layers["relu1"]) is type(one)
        np.testing.assert_array_equal(net(x), one.apply({}, x))
    minidl.save(models.Sequential(layers.ReLU(), input_shape=2, dtype="float64"), tmp_path / "net.npz")
    with np.load(tmp_path / "net.npz") as members:
        header = json.dumps(older(json.loads(str(members["minidl"]))))
    np.savez(tmp_path / "old.npz", minidl=np.array(header))
    with pytest.raises(DataError, match="one class called ReLU, as older files name them"):
        minidl.load(tmp_path / "old.npz")
    del layers.Described.known[layers.kind_of(ReLU)]
    assert isinstance(minidl.load(tmp_path / "old.npz").layers["relu1"], layers.ReLU)


def test_a_class_that_this_process_lacks_is_named(tmp_path) -> None:
    change = lambda h: h["layers"].append({"kind": "mine.Wobble"})
    refused(tmp_path, rewritten(tmp_path, change), "'mine.Wobble' among them.*import the module that defines it")


# --- what is saved loads ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shift(layers.Layer):
    """x + b, for a parameter b; a layer of one's own."""

    by: float = 1.0

    def init(self, shape, rng):
        return {"b": np.full(shape, self.by)}

    def apply(self, params, x, rng=None):
        return x + params["b"]


@dataclass(frozen=True)
class Blurred(Shift):
    """With parameters that are drawn in a way of their own."""

    def init(self, shape, rng):
        return {"b": self.by * rng.standard_normal(shape) + rng.integers(3, size=shape)}


class Bare(layers.Layer):
    """No dataclass."""

    def apply(self, params, x, rng=None):
        return x


@dataclass(frozen=True)
class Secretive(layers.Layer):
    """It computes with something that is not in its fields."""

    factor: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "factor", self.factor + 1)

    def apply(self, params, x, rng=None):
        return x * self.factor


@dataclass(frozen=True)
class Mean(layers.Layer):
    """x minus a mean image."""

    image: np.ndarray

    def apply(self, params, x, rng=None):
        return x - self.image


@dataclass(frozen=True)
class Residual(layers.Layer):
    """x + f(x), for the layers of f, which have no parameters."""

    inner: tuple[layers.Layer, ...]

    def apply(self, params, x, rng=None):
        y = x
        for layer in self.inner:
            y = layer.apply({}, y, rng)
        return x + y


def small(*more: layers.Layer) -> models.Sequential:
    return models.Sequential(layers.Dense(3), *more, input_shape=4)


def test_a_layer_made_of_layers_comes_back(tmp_path) -> None:
    net = small(Residual((layers.Tanh(), Residual((layers.Dropout(0.5), layers.ReLU())))))
    minidl.save(net, tmp_path / "net.npz")
    again = minidl.load(tmp_path / "net.npz")
    assert repr(again) == repr(net)
    assert np.array_equal(again(np.ones((2, 4), np.float32)), net(np.ones((2, 4), np.float32)))


UNSAVED = {
    "another dtype": (lambda net: net.params.update({"dense1.W": net.params["dense1.W"].astype(float)}), DTypeError, "dense1.W of float64"),
    "an extra name": (lambda net: net.params.update({"dense1.weight": net.params["dense1.W"]}), ShapeError, "dense1.weight besides"),
    "a missing name": (lambda net: net.params.pop("dense1.b"), ShapeError, "dense1.b missing"),
    "a bias of rank 2": (lambda net: net.params.update({"dense1.b": net.params["dense1.b"][None]}), ShapeError, r"\(3,\), got \(1, 3\)"),
    "no array": (lambda net: net.params.update({"dense1.b": [0.0, 0, 0]}), DTypeError, "dense1.b of list"),
    "no dict": (lambda net: setattr(net, "params", None), DTypeError, "a dict of arrays, got NoneType"),
    "a layer that is no dataclass": (lambda net: net.layers.update(bare1=Bare()), DTypeError, "frozen dataclasses, got Bare"),
    "a layer with secrets": (lambda net: net.layers.update(secretive1=Secretive()), DTypeError, "described by their fields"),
    "a layer that holds an array": (lambda net: net.layers.update(mean1=Mean(np.zeros(3))), DTypeError, "made again from their fields"),
}  # fmt: skip


@pytest.mark.parametrize("name", UNSAVED)
def test_what_load_would_refuse_is_not_saved(tmp_path, name) -> None:
    change, error, message = UNSAVED[name]
    net = small()
    change(net)
    with pytest.raises(error, match=f"save.*{message}"):
        minidl.save(net, tmp_path / "net")
    assert not list(tmp_path.iterdir())


def test_save_wants_a_network(tmp_path) -> None:
    with pytest.raises(DTypeError, match=r"a network first, got PosixPath|a network first, got WindowsPath"):
        minidl.save(tmp_path / "net", small())


KINDS = [
    layers.Dense(3), layers.Dense(2, bias=False, init_weights=layers.Glorot()), layers.ReLU(), layers.Tanh(),
    layers.Dropout(0.5), Shift(), Shift(by=-0.25), Blurred(), layers.Sigmoid(), layers.Softmax(),
]  # fmt: skip


@given(chosen=st.lists(st.sampled_from(KINDS), min_size=1, max_size=4), seed=st.integers(0, 99), data=st.data())
def test_whatever_is_saved_loads_with_the_same_logits(chosen, seed, data) -> None:
    dtype = data.draw(st.sampled_from(["float16", "float32", "float64"]))
    net = models.Sequential(*chosen, input_shape=4, seed=seed, dtype=dtype)
    rng = np.random.default_rng(seed)
    for name, w in net.params.items():
        w[...] = rng.normal(size=w.shape)
        if data.draw(st.booleans()):
            net.params[name] = np.asfortranarray(w)
    x = rng.normal(size=(3, 4)).astype(dtype)
    with tempfile.TemporaryDirectory() as folder:
        minidl.save(net, Path(folder) / "net")
        again = minidl.load(Path(folder) / "net")
    assert repr(again) == repr(net)
    np.testing.assert_array_equal(again(x), net(x))
    assert all(w.flags.writeable for w in again.params.values())


# --- objects, and parts of files -------------------------------------------------------------------------


def test_objects_are_not_pickled_into_a_file(tmp_path) -> None:
    with pytest.raises(DTypeError, match=r"save: expected arrays of numbers, got genes of Python objects"):
        write_archive(tmp_path / "file", "kind", {}, {"genes": np.array([{}, None])})
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_the_old_file_and_no_scraps(tmp_path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError, match="half way"), atomically(path) as file:
        file.write(b"ne")
        raise RuntimeError("half way")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]
    with atomically(tmp_path / "new folder" / "file") as file:
        file.write(b"new")
    assert (tmp_path / "new folder" / "file").stat().st_mode & 0o777 == 0o666 & ~current_umask()


def scraps(tmp_path) -> list[str]:
    return sorted(name for name in os.listdir(tmp_path) if name.startswith("."))


def test_what_killed_writers_have_left_is_swept_away(tmp_path) -> None:
    code = """
import os, sys
from minidl.files import atomically
with atomically(sys.argv[1]) as file:
    file.write(b"half")
    file.flush()
    os._exit(9)
"""
    path, mine = (
        tmp_path / "run.npz",
        [tmp_path / name for name in (".run.npz.cfg", ".run.npz.abcdefgh", "run.npz.part")],
    )
    [kept.touch() for kept in mine]
    for _ in range(2):
        subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert len(scraps(tmp_path)) == 3  # the second was begun after the first was swept
    with atomically(tmp_path / "run") as file:  # another name
        file.write(b"whole")
    assert len(scraps(tmp_path)) == 3
    with atomically(path) as file:
        file.write(b"whole")
    assert scraps(tmp_path) == [".run.npz.abcdefgh", ".run.npz.cfg"]  # which no write has left
    assert path.read_bytes() == b"whole"


@pytest.mark.skipif(files.fcntl is None, reason="without locks, a day must pass")
def test_parts_that_are_being_written_are_left_alone(tmp_path) -> None:
    path = tmp_path / "run"
    with atomically(path) as slow:
        slow.write(b"first")
        with atomically(path) as quick:
            quick.write(b"second")
        assert path.read_bytes() == b"second"
        assert len(scraps(tmp_path)) == 1
    assert path.read_bytes() == b"first"
    assert not scraps(tmp_path)


def test_without_locks_parts_are_swept_after_a_day(tmp_path, monkeypatch) -> None:
    """As on Windows."""
    monkeypatch.setattr(files, "fcntl", None)
    old, recent = tmp_path / ".run.abcdefgh.part", tmp_path / ".run.ijklmnop.part"
    for part, hours in ((old, 25), (recent, 23)):
        part.touch()
        os.utime(part, (time.time() - hours * 3600,) * 2)
    with atomically(tmp_path / "run") as file:
        file.write(b"whole")
    assert scraps(tmp_path) == [recent.name]


def test_ctrl_c_just_after_the_file_has_its_name_is_ctrl_c(tmp_path, monkeypatch) -> None:
    """As it was met: what came then was FileNotFoundError, of the part that was no longer there."""
    replace = os.replace

    def pressed(*names):
        replace(*names)
        raise KeyboardInterrupt

    monkeypatch.setattr(files.os, "replace", pressed)
    with pytest.raises(KeyboardInterrupt), atomically(tmp_path / "file") as file:
        file.write(b"new")
    assert (tmp_path / "file").read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # files that are closed by themselves
def test_ctrl_c_at_any_line_of_writing_leaves_the_old_file_or_the_new_and_no_part(tmp_path) -> None:
    """A part that was left beside a finished run would stay there: nothing is written to its name any more."""
    path, number, there = tmp_path / "file", 0, True

    def write() -> None:
        with atomically(path) as file:
            file.write(b"new")

    while there:
        number += 1
        path.write_bytes(b"old")
        _, there = pressing((atomically.__wrapped__, files._begun), [number], write)
        assert os.listdir(tmp_path) == ["file"], number
        assert path.read_bytes() in (b"old", b"new")
    assert number > 12
    assert path.read_bytes() == b"new"


def current_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


#: Wrong on purpose, each beside the law of this file that must catch it: see `test_mutants`.
# fmt: off
MUTANTS = [
    Mutant("load: the contents are not checked", line(minidl.io, "load", "wanted != stored", "False"), test_parameters_must_fit),
]
# fmt: on
