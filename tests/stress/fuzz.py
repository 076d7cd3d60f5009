"""Load damaged, malicious and foreign files with every loader: it must raise `DataError` or return an equal object.

    python -m tests.stress.fuzz [--files 5000] [--seed 0]

A valid file of each kind is damaged in one of many ways.  Some damage cannot be detected: changed pixels in a file
without a checksum, and a changed header or array with a new, correct digest.  The loader may then return another
object, which must be valid.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import os
import pickle
import tempfile
import time
import tracemalloc
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import minidl
from attacks import AttackResult, evolution, fgsm, fool_direct
from minidl import models
from minidl.data import Dataset
from minidl.data.cifar import read_batch
from minidl.data.idx import read_idx
from minidl.errors import DataError
from minidl.identity import identity
from minidl.npz import DIGEST, HEADER, _digest
from minidl.train import fit

Rng = np.random.Generator

# --- valid files and their loaders -----------------------------------------------------------------------


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    content: of a valid file.
    load: the loader.
    comparable: turns a loaded object into a value; two objects are equal if these values are.
    undetected: the names of the kinds of damage that the loader cannot always detect.
    """

    content: bytes
    load: Callable[[Path], Any]
    comparable: Callable[[Any], Any] = lambda loaded: identity("fuzz", loaded)
    undetected: tuple[str, ...] = ()


#: The kinds of damage that files of plain pixels cannot detect: they have no checksum.
ALL_DAMAGE = ("truncated", "flipped", "overwritten", "cut_out", "repeated", "with_more", "foreign")


def network() -> models.Sequential:
    return models.mlp((1, 4, 4), 4, (6,), bias=True, seed=3)


def data() -> Dataset:
    rng = np.random.default_rng(0)
    return Dataset(rng.random((20, 1, 4, 4), dtype=np.float32), rng.integers(0, 4, 20), tuple("abcd"))


def train(path: Path) -> Any:
    net = network()
    history = fit(net, data(), epochs=2, checkpoint=path, progress=False)
    return [net.params, history.loss]


ENCODING = evolution.CPPN((1, 4, 4), neurons=3)


def breed(path: Path) -> Any:
    result = evolution.evolve(network(), ENCODING, generations=3, population=6, checkpoint=path)
    return [result.images, result.history]


def kinds() -> dict[str, Kind]:
    """Every kind of file by name, with a new valid file."""
    net, (x, y) = network(), (data().x, data().y)
    with tempfile.TemporaryDirectory() as folder:
        path = {name: Path(folder) / name for name in ("net", "attack", "fooling", "fit", "evolve")}
        minidl.save(net, path["net"])
        fgsm(net, x, y).save(path["attack"])
        fool_direct(net, generations=2, population=5).save(path["fooling"])
        fit(network(), data(), epochs=1, checkpoint=path["fit"], progress=False)
        evolution.evolve(net, ENCODING, generations=2, population=6, checkpoint=path["evolve"])
        written = {name: file.read_bytes() for name, file in path.items()}
    images = np.arange(5 * 9, dtype=np.uint8).reshape(5, 3, 3)
    idx = bytes([0, 0, 8, 3]) + b"".join(n.to_bytes(4, "big") for n in images.shape) + images.tobytes()
    doubles = bytes([0, 0, 14, 1, 0, 0, 0, 5]) + np.arange(5, dtype=">f8").tobytes()
    table = b"label,a,b,c,d\n" + b"".join(
        b"%d,%d,%d,%d,%d\n" % tuple(row) for row in images[:, 0, :2].repeat(3, 1)[:, :5]
    )
    read_table = lambda path: (lambda data: (data.x, data.y))(Dataset.from_csv(path, progress=False))
    batch = bytes([3]) + bytes(range(256)) * 12
    as_array = lambda loaded: [np.asarray(part).tolist() for part in loaded]
    return {
        "network": Kind(written["net"], minidl.load, lambda net: [repr(net), identity("fuzz", net.params)]),
        "attack's result": Kind(written["attack"], AttackResult.load, lambda r: identity("fuzz", vars(r))),
        "fooling images": Kind(written["fooling"], evolution.FoolingResult.load, lambda r: identity("fuzz", vars(r))),
        "checkpoint of fit": Kind(written["fit"], train),
        "checkpoint of evolve": Kind(written["evolve"], breed),
        "IDX": Kind(idx, lambda path: read_idx(path, 3), as_array, ALL_DAMAGE),
        "IDX, gzipped": Kind(gzip.compress(idx), lambda path: read_idx(path, 3), as_array),
        "IDX of doubles": Kind(doubles, read_idx, as_array, ALL_DAMAGE),
        "CSV": Kind(table, read_table, as_array, ALL_DAMAGE),
        "CIFAR-10": Kind(batch, read_batch, as_array, ALL_DAMAGE),
        "CIFAR-10, gzipped": Kind(gzip.compress(batch), read_batch, as_array, ("with_more",)),  # a file repeated has two images
    }  # fmt: skip


# --- damage to any file ----------------------------------------------------------------------------------


def somewhere(content: bytes, rng: Rng) -> tuple[int, int]:
    """Two positions in the file, in order; half of the time near its ends, where headers are."""
    size = len(content)
    ends = rng.integers(0, max(1, min(size, 200)), 2)
    first, last = sorted(
        rng.integers(0, size + 1, 2) if rng.random() < 0.5 else (ends if rng.random() < 0.5 else size - ends)
    )
    return int(first), int(last)


def truncated(content: bytes, rng: Rng) -> bytes:
    return content[: somewhere(content, rng)[0]]


def flipped(content: bytes, rng: Rng) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.integers(1, 4)):
        changed[min(somewhere(content, rng)[0], len(content) - 1)] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def overwritten(content: bytes, rng: Rng) -> bytes:
    first, last = somewhere(content, rng)
    by = [b"\0", b"\xff", b"\x80", rng.bytes(1)][rng.integers(4)]
    return content[:first] + (rng.bytes(last - first) if rng.random() < 0.5 else by * (last - first)) + content[last:]


def cut_out(content: bytes, rng: Rng) -> bytes:
    first, last = somewhere(content, rng)
    return content[:first] + content[last:]


def repeated(content: bytes, rng: Rng) -> bytes:
    first, last = somewhere(content, rng)
    return content[:last] + content[first:last] * int(rng.integers(1, 5)) + content[last:]


def with_more(content: bytes, rng: Rng) -> bytes:
    more = [rng.bytes(int(rng.integers(1, 300))), b"\0" * 1000, content, b"\x1f\x8b\x08", b"PK\x03\x04"][
        rng.integers(5)
    ]
    return content + more if rng.random() < 0.5 else more + content


class Bomb:
    """An object that makes a folder when it is unpickled."""

    def __reduce__(self) -> Any:
        return os.mkdir, (os.environ["MINIDL_TEST_MARK"],)


def foreign(content: bytes, rng: Rng) -> bytes:
    out = io.BytesIO()
    np.savez(out, x=np.ones(3))
    choices = [
        b"", b"\n", b"<html><body>sign in</body></html>", b"PK\x05\x06" + b"\0" * 18, b"\x89PNG\r\n\x1a\n" + rng.bytes(50),
        pickle.dumps(Bomb()), gzip.compress(pickle.dumps(Bomb())), rng.bytes(int(rng.integers(1, 5000))), out.getvalue(),
        gzip.compress(b"\0" * 10**7), b"\x1f\x8b" + rng.bytes(100), b"PK\x03\x04" + rng.bytes(200), content[::-1],
        bytes([0, 0, 8, 3]) + b"\xff" * 12, bytes([0, 0, 8, 3]) + b"\0\0\0\1" * 3,
    ]  # fmt: skip
    return choices[rng.integers(len(choices))]


ANY: list[Callable[[bytes, Rng], bytes]] = [truncated, flipped, overwritten, cut_out, repeated, with_more, foreign]

# --- damage to an archive --------------------------------------------------------------------------------

Entries = list[tuple[str, bytes]]


def entries_of(content: bytes) -> Entries:
    with zipfile.ZipFile(io.BytesIO(content)) as members:
        return [(name, members.read(name)) for name in members.namelist()]


def archive_of(entries: Entries, compression: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as members, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # two members with the same name
        for name, content in entries:
            members.writestr(zipfile.ZipInfo(name), content, compression)
    return out.getvalue()


def npy(array: Any, allow_pickle: bool = False) -> bytes:
    out = io.BytesIO()
    np.save(out, array, allow_pickle=allow_pickle)
    return out.getvalue()


def members(content: bytes, rng: Rng) -> bytes:
    """Change the members of the archive, their names, or the compression."""
    entries = entries_of(content)
    i, choice = int(rng.integers(len(entries))), rng.integers(8)
    name, inside = entries[i]
    if choice == 0:
        del entries[i]
    elif choice == 1:
        entries[i] = (
            [name[:-4], name + "x", "../" + name, "", "minidl.npy", "é" * 40 + ".npy"][rng.integers(6)],
            inside,
        )
    elif choice == 2:
        entries.append(
            [("README.md", b"# hello"), ("more.npy", npy(np.ones(3))), ("folder/", b""), (name, inside)][
                rng.integers(4)
            ]
        )
    elif choice == 3:
        compression = [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA][rng.integers(3)]
        return archive_of(entries, compression)
    elif choice == 4:
        entries[i] = (
            name,
            [b"", inside[: rng.integers(len(inside))], rng.bytes(50), b"# text", inside + b"!"][rng.integers(5)],
        )
    elif choice == 5:
        entries[i] = name, npy(np.zeros(10**7))
        return archive_of(entries, zipfile.ZIP_DEFLATED)
    elif choice == 6:
        entries[i] = name, npy(np.array([Bomb(), None], dtype=object), allow_pickle=True)
    else:
        others = [
            np.array("text"),
            np.array(1 + 2j),
            np.zeros(3, "M8[s]"),
            np.zeros(2, [("a", "f4")]),
            np.zeros((2, 0)),
            np.float64(3),
        ]
        entries[i] = name, npy(others[rng.integers(len(others))])
    return archive_of(entries)


def npy_headers(content: bytes, rng: Rng) -> bytes:
    """Change the text in the header of an array: its shape, its dtype, or to something that is no dict."""
    entries = entries_of(content)
    i = int(rng.integers(len(entries)))
    name, inside = entries[i]
    length = int.from_bytes(inside[8:10], "little")
    text, values = inside[10 : 10 + length].decode("latin1"), inside[10 + length :]
    shape = text[text.index("'shape':") :].rstrip(" }\n,")
    texts = [
        text.replace(shape, "'shape': (1000000000000,)"), text.replace(shape, "'shape': (-1,)"),
        text.replace(shape, "'shape': (2.5,)"), text.replace(shape, "'shape': " + "(" * 500 + ")" * 500),
        text.replace("'descr'", "'desc'"), text.replace("False", "True"), text.replace("<f4", "|O"), text.replace("<", ">"),
        text.replace("<f4", "<f8"), "{" * 200, "__import__('os')", "(", "'" * 3, "\\", "0" * 9000, "\x00" * 20, text[: length // 2],
        text.replace("'descr': ", "'descr': [('a', '<f4'), "), "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'x': 1}",
    ]  # fmt: skip
    new = texts[rng.integers(len(texts))].encode("latin1", "replace")
    version = [b"\x01\x00", b"\x01\x00", b"\x02\x00", b"\x03\x00", b"\x09\x00"][rng.integers(5)]
    size = len(new).to_bytes(2 if version[0] == 1 else 4, "little")
    entries[i] = name, b"\x93NUMPY" + version + size + new + values
    return archive_of(entries)


def edited(value: Any, rng: Rng) -> Any:
    """A value of a header with one change: another type, size or name."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        key = list(value)[rng.integers(len(value))]
        choice = rng.integers(4)
        if choice == 0:
            return {k: v for k, v in value.items() if k != key}
        if choice == 1:
            return {**{k: v for k, v in value.items() if k != key}, key + "x": value[key]}
        return {**value, key: edited(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.85:
        i, choice = int(rng.integers(len(value))), rng.integers(4)
        if choice == 0:
            return value[:i] + value[i + 1 :]
        if choice == 1:
            return [*value, value[i]]
        return [*value[:i], edited(value[i], rng), *value[i + 1 :]]
    deep: Any = []
    for _ in range(200):
        deep = [deep]
    others = [None, True, -1, 0, 1, 2.5, 10**9, 10**30, -(10**9), 1e308, float("nan"), float("inf"), "", "x", "Dense", "ReLU",
              "nan", [], [1], {}, {"kind": "Dense", "units": 50_000_000}, {"kind": "Explode"}, {"a": 1}, deep, "é" * 100,
              "minidl.layers.Dense", "float32", "float16", "object", "O", [7], [1, 4, 4, 4], [10**6, 10**6]]  # fmt: skip
    return others[rng.integers(len(others))]


def header_edited(content: bytes, rng: Rng) -> bytes:
    entries = entries_of(content)
    at = [name for name, _ in entries].index(f"{HEADER}.npy")
    header = json.loads(str(np.load(io.BytesIO(entries[at][1]))))
    for _ in range(rng.integers(1, 4)):
        header = edited(header, rng)
    text = (
        json.dumps(header)
        if rng.random() < 0.9
        else ["[" * 10**5, "{", "nul", "NaN", '"text"', "[1]", "{}"][rng.integers(7)]
    )
    entries[at] = entries[at][0], npy(np.array(text))
    return archive_of(entries)


ARCHIVE: list[Callable[[bytes, Rng], bytes]] = [members, npy_headers, header_edited]

# --- damage with a correct digest ------------------------------------------------------------------------


def signed(content: bytes, rng: Rng) -> bytes:
    """Change the header or an array, and compute a new digest."""
    arrays = {name.removesuffix(".npy"): np.load(io.BytesIO(inside)) for name, inside in entries_of(content)}
    header = json.loads(str(arrays.pop(HEADER)))
    header.pop(DIGEST)
    if rng.random() < 0.6 or not arrays:
        header = edited(header, rng)
    else:
        name = list(arrays)[rng.integers(len(arrays))]
        changes: list[Callable[[np.ndarray], np.ndarray]] = [
            lambda a: a[1:] if a.ndim else a, lambda a: a[None], lambda a: a.astype("f8"), lambda a: a.astype("i8"),
            lambda a: a.astype(bool), lambda a: a * 0 - 1, lambda a: a.astype("f4") * np.nan, lambda a: a + a, lambda a: a.T,
            lambda a: np.zeros(0), lambda a: a.astype("f2"), lambda a: a.astype(">f4"), lambda a: a.reshape(-1),
        ]  # fmt: skip
        with np.errstate(all="ignore"):
            arrays[name] = changes[rng.integers(len(changes))](arrays[name])
    if isinstance(header, dict):
        header = {**header, DIGEST: _digest(json.loads(json.dumps(header)), arrays)}
    return archive_of(
        [(f"{HEADER}.npy", npy(np.array(json.dumps(header)))), *((f"{n}.npy", npy(a)) for n, a in arrays.items())]
    )


# --- the run ---------------------------------------------------------------------------------------------


@dataclass
class Tally:
    """Counts of the outcomes for one kind of file; the peak memory in bytes; the slowest load in seconds."""

    outcomes: Counter[str] = field(default_factory=Counter)
    peak: int = 0
    slowest: float = 0.0


def try_one(kind: Kind, expected: Any, rng: Rng, folder: Path, tally: Tally) -> None:
    """Damage the file in one way and load it.  Raises `AssertionError` if the outcome is not allowed."""
    archive = kind.content.startswith(b"PK")
    correct_digest = archive and rng.random() < 0.2
    choices = [signed] if correct_digest else ANY + ARCHIVE * 2 * archive
    damage = choices[rng.integers(len(choices))]
    content = damage(kind.content, rng)
    path = folder / "file"
    path.write_bytes(content)
    tracemalloc.reset_peak()
    before, start = tracemalloc.get_traced_memory()[0], time.perf_counter()
    try:
        with np.errstate(all="ignore"):
            loaded = kind.load(path)
    except DataError:
        outcome = "DataError"
    except Exception as error:
        (Path(tempfile.gettempdir()) / "minidl_fuzz_failure").write_bytes(content)
        raise AssertionError(f"{damage.__name__} raised {type(error).__name__}: {error}") from error
    else:
        equal = kind.comparable(loaded) == expected
        outcome = "equal" if equal else "other"
        if not equal and not correct_digest and damage.__name__ not in kind.undetected:
            raise AssertionError(f"{damage.__name__} gave an object that is not equal")
    tally.outcomes[outcome] += 1
    tally.peak = max(tally.peak, tracemalloc.get_traced_memory()[1] - before)
    tally.slowest = max(tally.slowest, time.perf_counter() - start)


def fuzz(files: int, seed: int) -> dict[str, Tally]:
    """Load so many damaged files, equally many of each kind.  The message of an `AssertionError` has kind and number."""
    tallies = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder, mark = Path(temporary), Path(temporary) / "mark"
        os.environ["MINIDL_TEST_MARK"] = str(mark)
        all_kinds = kinds()
        tracemalloc.start()
        try:
            for k, (name, kind) in enumerate(all_kinds.items()):
                (folder / "valid").write_bytes(kind.content)
                expected, tally = kind.comparable(kind.load(folder / "valid")), Tally()
                for i in range(-(-files // len(all_kinds))):
                    try:
                        try_one(kind, expected, np.random.default_rng((seed, k, i)), folder, tally)
                    except AssertionError as error:
                        raise AssertionError(f"{name}, file {i} of seed {seed}: {error}") from error
                tallies[name] = tally
        finally:
            tracemalloc.stop()
        assert not mark.exists(), "something was unpickled"
    return tallies


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    print(
        f"{'loader':<20}  {'files':>5}  {'DataError':>9}  {'equal':>5}  {'other':>5}  {'peak MB':>7}  {'slowest s':>9}"
    )
    total = 0
    for name, t in fuzz(arguments.files, arguments.seed).items():
        counts = [t.outcomes[outcome] for outcome in ("DataError", "equal", "other")]
        total += sum(counts)
        print(
            f"{name:<20}  {sum(counts):>5}  {counts[0]:>9}  {counts[1]:>5}  {counts[2]:>5}  {t.peak / 1e6:>7.1f}  {t.slowest:>9.2f}"
        )
    print(f"{total} files: DataError, an equal object, or, where damage cannot be detected, another valid one")


if __name__ == "__main__":
    main()
