"""Files: networks come back whole or not at all; nothing is half written, nothing unpickled."""

from __future__ import annotations

import io
import json
import os
import pickle
import zipfile

import numpy as np
import pytest

import minidl
from minidl import layers, models
from minidl.errors import DataError, DTypeError
from minidl.io import atomically, write_archive


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
    refused(tmp_path, out.getvalue(), "foreign")
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
        lambda h: h.update(kind="checkpoint"), lambda h: h.update(version=2), lambda h: h.pop("kind"), lambda h: [1, 2],
        lambda h: h.pop("layers"), lambda h: h["layers"].append({"kind": "Explode"}), lambda h: h["layers"].append("Dense"),
        lambda h: h["layers"].append({"kind": "Dense", "units": -1}), lambda h: h["layers"].append({"kind": "Dense"}),
        lambda h: h["layers"].append({"kind": "Dense", "units": "many"}), lambda h: h["layers"].append({"kind": "Normal"}),
        lambda h: h["layers"].append({"kind": "Dropout", "rate": None}), lambda h: h.update(dtype="nonsense"),
        lambda h: h.update(input_shape=[7]), lambda h: h.update(input_shape=None), lambda h: h.update(layers=[]),
        lambda h: h["layers"].append({"kind": "Dense", "units": 10**15}),
    ]  # fmt: skip
    for change in changes:
        refused(tmp_path, rewritten(tmp_path, change))


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


def current_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
