"""Images of one's own: pictures in folders, tables, and what a `Dataset` gives by index."""

from __future__ import annotations

import gzip
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from minidl import backend
from minidl.data import Dataset, pictures, tables
from minidl.errors import DataError, DTypeError, RangeError
from tests.support.other_arrays import add_the_stand_in

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (6, 5, 7), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (6, 5, 7, 3), dtype=np.uint8)


def save(path: Path, pixels: np.ndarray, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def pets(root: Path, pixels: np.ndarray = GREY) -> Path:
    for k, name in enumerate(("dog/b.png", "cat/2.png", "cat/10.PNG", "dog/a.png")):
        save(root / name, pixels[k])
    return root


def load(path: Path, **options) -> Dataset:
    return Dataset.from_folder(path, progress=False, **options)


# --- pictures in folders ---------------------------------------------------------------------------------


@pytest.mark.parametrize("pixels", [GREY, COLOUR], ids=["grey", "colour"])
def test_folders_are_classes_and_all_is_sorted(tmp_path, pixels) -> None:
    data = load(pets(tmp_path, pixels))
    assert data.class_names == ("cat", "dog")
    np.testing.assert_array_equal(data.y, [0, 0, 1, 1])
    expected = pixels[[2, 1, 3, 0]] / np.float32(255)  # cat/10, cat/2, dog/a, dog/b
    expected = expected[:, None] if pixels is GREY else expected.transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(data.x, expected)
    assert (data.x.dtype, data.x.flags.c_contiguous) == (np.float32, True)


def test_what_systems_hide_in_folders_is_passed_over(tmp_path) -> None:
    pets(tmp_path)
    for name in (".DS_Store", "cat/Thumbs.db", "dog/.hidden", "dog/desktop.ini", "README.txt"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / ".ipynb_checkpoints").mkdir()
    assert len(load(tmp_path)) == 4


def test_jpeg_palettes_bits_and_opaque_alpha_are_read(tmp_path) -> None:
    flat = np.full((5, 7, 3), [200, 100, 50], np.uint8)
    save(tmp_path / "a/1.jpeg", flat, quality=100)
    Image.fromarray(flat).quantize(2).save(tmp_path / "a/2.png")
    save(tmp_path / "a/3.png", np.dstack([flat, np.full((5, 7), 255, np.uint8)]))
    Image.fromarray(GREY[0] > 127).save(tmp_path / "a/4.png")
    data = load(tmp_path)
    np.testing.assert_allclose(data.x[:3] * 255, np.broadcast_to(flat.transpose(2, 0, 1), (3, 3, 5, 7)), atol=2)
    np.testing.assert_array_equal(data.x[3, 0], GREY[0] > 127)  # grey in three channels, as the first has
    np.testing.assert_array_equal(data.x[3, 0], data.x[3, 2])


def test_a_photo_taken_sideways_is_put_upright(tmp_path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it rotated by 90 degrees clockwise
    save(tmp_path / "a/1.png", GREY[0], exif=exif)
    np.testing.assert_array_equal(load(tmp_path).x[0, 0], np.rot90(GREY[0], -1) / np.float32(255))


def test_size_and_channels(tmp_path) -> None:
    pets(tmp_path, COLOUR)
    save(tmp_path / "cat/3.png", np.full((9, 4), 51, np.uint8))
    for channels, shape in ((None, (5, 3, 4, 6)), (1, (5, 1, 4, 6)), (3, (5, 3, 4, 6))):
        data = load(tmp_path, size=(4, 6), channels=channels)
        assert data.x.shape == shape
        np.testing.assert_allclose(data.x[2], 0.2, rtol=1e-6)  # cat/3, after 10 and 2
    grey = load(pets(tmp_path / "more", COLOUR), channels=1).x[0, 0]
    np.testing.assert_allclose(grey, COLOUR[2] @ [0.299, 0.587, 0.114] / 255, atol=0.005)


def test_classes_in_an_order_of_ones_own(tmp_path) -> None:
    pets(tmp_path)
    (tmp_path / "empty").mkdir()
    data = load(tmp_path, class_names=("dog", "bird", "empty", "cat"))
    assert data.class_names == ("dog", "bird", "empty", "cat")
    np.testing.assert_array_equal(data.y, [0, 0, 3, 3])


def half_transparent() -> np.ndarray:
    return np.dstack([COLOUR[0], np.full((5, 7), 128, np.uint8)])


def written(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda root: ((root / name).parent.mkdir(exist_ok=True), (root / name).write_bytes(content))


REFUSED_FOLDERS = {
    "a damaged picture": (written("cat/3.png", b"\x89PNG\r\n\x1a\n1234567890"), {}, DataError, r"\S*3\.png to be a sound PNG"),
    "a web page": (written("dog/3.jpg", b"<html>"), {}, DataError, r"\S*3\.jpg to be a sound PNG or JPEG.*UnidentifiedImage"),
    "another size": (lambda root: save(root / "dog/c.png", GREY[0].T), {}, DataError, r"c\.png to be of 5 x 7 pixels as \S*10\.PNG is, got 7 x 5 pixels. Fix: size=\(5, 7\)"),
    "another file": (written("dog/c.gif", b"GIF89a"), {}, DataError, r"PNG and JPEG pictures alone in \S*dog, got c\.gif"),
    "another format by that name": (lambda root: Image.fromarray(GREY[0]).save(root / "dog/c.png", format="GIF"), {}, DataError, r"c\.png"),
    "folders within": (lambda root: save(root / "dog/big/c.png", GREY[0]), {}, DataError, "got big. Fix: name the folder that holds"),
    "pictures beside": (lambda root: save(root / "c.png", GREY[0]), {}, DataError, r"one for each class, got c\.png beside them"),
    "an empty class": (lambda root: (root / "eel").mkdir(), {}, DataError, r"pictures in \S*eel, got none. Fix: remove the folder"),
    "16 bits": (lambda root: save(root / "dog/c.png", GREY[0].astype(np.uint16)), {}, DataError, r"c\.png .*more than 8 bits"),
    "transparent": (lambda root: save(root / "dog/c.png", half_transparent()), {}, DataError, r"c\.png .*transparent pixels"),
    "a class without a name": (lambda root: None, {"class_names": ("cat",)}, DataError, "named as class_names, got dog besides"),
    "no such classes": (lambda root: None, {"class_names": ("cat", "dog"), "size": (0, 3)}, RangeError, r"a size \(height, width\)"),
    "a number for a size": (lambda root: None, {"size": 32}, RangeError, "a size .*got 32"),
    "two channels": (lambda root: None, {"channels": 2}, RangeError, "channels=1 for grey.*got 2"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED_FOLDERS)
def test_folders_raise_an_error(name, tmp_path) -> None:
    spoil, options, error, message = REFUSED_FOLDERS[name]
    pets(tmp_path)
    spoil(tmp_path)
    with pytest.raises(error, match=f"from_folder: expected .*{message}"):
        load(tmp_path, **options)


def test_no_folder_no_pictures_and_none_of_the_classes(tmp_path) -> None:
    with pytest.raises(DataError, match="a folder .*absent.*FileNotFoundError"):
        load(tmp_path / "absent")
    (tmp_path / "notes.txt").write_bytes(b"")
    with pytest.raises(DataError, match=r"sub-folders of .*got notes\.txt"):
        load(tmp_path)
    (tmp_path / "cat").mkdir()
    with pytest.raises(DataError, match="pictures in .*got none"):
        load(tmp_path, class_names=("cat", "dog"))


def test_a_truncated_picture_is_named(tmp_path) -> None:
    file = save(pets(tmp_path) / "dog/c.png", RNG.integers(0, 256, (5, 7), dtype=np.uint8))
    whole = file.read_bytes()
    for cut in range(8, len(whole) - 24, 5):  # checksums and the end mark go last, and nothing of the picture is there
        file.write_bytes(whole[:cut])
        with pytest.raises(DataError, match=r"c\.png to be a sound"):
            load(tmp_path)


def test_pictures_that_are_too_large_are_not_unpacked(tmp_path, monkeypatch) -> None:
    pets(tmp_path)
    save(tmp_path / "ant/0.png", np.zeros((3000, 3000), np.uint8))
    monkeypatch.setattr(pictures, "PIXELS", 2000 * 2000)
    tracemalloc.start()
    with pytest.raises(DataError, match=r"0\.png .*3000 x 3000 pixels, more than 4000000"):
        load(tmp_path)
    assert tracemalloc.get_traced_memory()[1] < 2**22
    tracemalloc.stop()
    monkeypatch.undo()
    monkeypatch.setattr(pictures, "BYTES", 10)
    with pytest.raises(DataError, match=r"at most 10 bytes in \S*0\.png"):
        load(tmp_path)
    monkeypatch.undo()
    monkeypatch.setattr(pictures, "LARGEST", 4 * 35 - 1)
    (tmp_path / "ant" / "0.png").unlink()
    (tmp_path / "ant").rmdir()
    with pytest.raises(DataError, match=r"at most 139 pixels and channels in all, got 4 of 35.*Fix: size="):
        load(tmp_path)


# --- tables ----------------------------------------------------------------------------------------------

PIXELS = RNG.integers(0, 256, (4, 9), dtype=np.uint8)
Y = [7, 0, 2, 2]
HEADER = "label," + ",".join(f"pixel{k}" for k in range(9))
ROWS = [f"{label},{','.join(map(str, row))}" for label, row in zip(Y, PIXELS.tolist())]


def table(path: Path, lines: list[str], end: str = "\n") -> Path:
    path.write_bytes((end.join(lines) + end).encode())
    return path


def read(path: Path, **options) -> Dataset:
    return Dataset.from_csv(path, progress=False, **options)


@pytest.mark.parametrize("lines", [
    [HEADER, *ROWS], ROWS, ["\ufeff" + HEADER, *ROWS], [HEADER.upper(), *ROWS, "", ""], [f'"{HEADER}"'.replace(",", '","'), *ROWS],
    [HEADER, *(row.replace(",", ", ") for row in ROWS)]], ids=["header", "none", "mark", "capitals, empty lines", "quotes", "spaces"])  # fmt: skip
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_tables_of_every_spelling(tmp_path, lines, end) -> None:
    path = table(tmp_path / "a.csv", lines, end)
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(path.read_bytes()))
    for file in (path, tmp_path / "b.csv.gz"):
        data = read(file)
        np.testing.assert_array_equal(data.x, PIXELS.reshape(4, 1, 3, 3) / np.float32(255))
        np.testing.assert_array_equal(data.y, Y)
        assert data.class_names == tuple("01234567")
        assert (data.x.dtype, data.y.dtype) == (np.float32, np.int64)


def test_the_last_line_may_lack_its_end(tmp_path) -> None:
    (tmp_path / "a.csv").write_bytes("\n".join([HEADER, *ROWS]).encode())
    assert len(read(tmp_path / "a.csv")) == 4


def test_shape_and_names_of_a_table(tmp_path) -> None:
    path = table(tmp_path / "a.csv", [HEADER, *ROWS])
    data = read(path, shape=(9, 1, 1), class_names=tuple("abcdefgh"))
    assert (data.x.shape, data.class_names[7]) == ((4, 9, 1, 1), "h")
    assert read(path, shape=[9]).x.shape == (4, 9)


REFUSED_TABLES = {
    "the test file": ([HEADER.removeprefix("label,"), *(row.partition(",")[2] for row in ROWS)], {}, r"first column of \S* to be called label, got b'pixel0'. Fix: take a file with labels"),
    "labels last": (["a,b,label", "1,2,3"], {}, "called label, got b'a'"),
    "a short line": ([HEADER, *ROWS[:2], ROWS[2][:-4], ROWS[3]], {}, r"10 columns in line 4 of \S*a\.csv, got 9"),
    "a long line": ([HEADER, ROWS[0] + ",3"], {}, "10 columns in line 2 .*got 11"),
    "a pixel too light": ([*ROWS[:3], "1,0,0,256,0,0,0,0,0,0"], {}, "whole numbers, in line 4 .*got b'256' in column 4"),
    "a pixel too dark": ([HEADER, "1,0,0,-1,0,0,0,0,0,0"], {}, "line 2 .*got b'-1' in column 4"),
    "half a pixel": ([HEADER, "1,0,0,0,0,0,0,0,0,0.5"], {}, r"got b'0\.5' in column 10"),
    "a pixel like the label": ([HEADER, "300,0,0,0,300,0,0,0,0,0"], {}, "got b'300' in column 5"),
    "no pixel": ([HEADER, "1,0,0,,0,0,0,0,0,0"], {}, "got b'' in column 4"),
    "a word for a label": ([HEADER, "cat,0,0,0,0,0,0,0,0,0"], {}, "labels from 0 to 9999.*got b'cat' in line 2"),
    "a label below 0": ([HEADER, "-1,0,0,0,0,0,0,0,0,0"], {}, "got b'-1' in line 2"),
    "an identity number": ([HEADER, "10000,0,0,0,0,0,0,0,0,0"], {}, "Fix: put the label into the first column"),
    "a header alone": ([HEADER], {}, "images in .*no line but the header"),
    "nothing": ([""], {}, "to begin with a line of columns, got b''"),
    "semicolons": ([HEADER.replace(",", ";")], {}, "Fix: save it with commas"),
    "a zip": (["PK\3\4"], {}, "Fix: unpack it"),
    "no square": (["label,a,b", "1,2,3"], {}, "a square image .*got 3 columns. Fix: say shape="),
    "another shape": ([HEADER, *ROWS], {"shape": (1, 3, 4)}, r"a shape of 9 pixels.*got \(1, 3, 4\)"),
    "a number for a shape": ([HEADER, *ROWS], {"shape": 8}, r"a shape of 9 pixels.*got \(8,\)"),
    "a shape of less than nothing": ([HEADER, *ROWS], {"shape": (-3, -3)}, "a shape of 9 pixels"),
    "too few names": ([HEADER, *ROWS], {"class_names": ("a", "b")}, "label 7 for 2 names"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED_TABLES)
def test_tables_raise_an_error(name, tmp_path) -> None:
    lines, options, message = REFUSED_TABLES[name]
    with pytest.raises(DataError, match=f"from_csv: expected .*{message}"):
        read(table(tmp_path / "a.csv", lines), **options)


def test_tables_are_bounded(tmp_path, monkeypatch) -> None:
    path = table(tmp_path / "a.csv", [HEADER, *ROWS])
    monkeypatch.setattr(tables, "LARGEST", 35)
    with pytest.raises(DataError, match="at most 35 pixels"):
        read(path)
    monkeypatch.undo()
    monkeypatch.setattr(tables, "LINE", 60)
    with pytest.raises(DataError, match="lines of less than 60 bytes .*line 1"):
        read(path)
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(b"label," + bytes(2**24)))  # no end of a line
    tracemalloc.start()
    with pytest.raises(DataError, match="lines of less than 60 bytes"):
        read(tmp_path / "b.csv.gz")
    assert tracemalloc.get_traced_memory()[1] < 2**22
    tracemalloc.stop()
    with pytest.raises(DataError, match="no such file"):
        read(tmp_path / "absent.csv")


# --- a data set by index ---------------------------------------------------------------------------------


def data(n: int = 6) -> Dataset:
    return Dataset(
        backend.asarray(np.arange(n * 2.0).reshape(n, 2)), backend.asarray(np.arange(n) % 3), ("a", "b", "c")
    )


@pytest.fixture(params=["numpy", "strict"])
def library(request, monkeypatch) -> None:
    add_the_stand_in(monkeypatch)
    with backend.use(request.param):
        yield


def test_one_example_and_some(library) -> None:
    d = data()
    for i in (0, 5, -1, -6, np.int64(2)):
        image, label = d[i]
        np.testing.assert_array_equal(backend.to_numpy(image), backend.to_numpy(d.x)[i])
        assert (type(label), label) == (int, i % 3)
    for i in (6, -7, np.int64(6)):
        with pytest.raises(IndexError, match=f"from -6 to 5, got {i}"):
            d[i]
    for which in (slice(1, 5, 2), slice(None, None, -1), [4, 0], np.array([4, 0]), np.arange(6) > 3):
        part = d[which if isinstance(which, slice | list) else backend.asarray(which)]
        assert isinstance(part, Dataset)
        np.testing.assert_array_equal(backend.to_numpy(part.x), backend.to_numpy(d.x)[which])
        assert part.class_names == d.class_names


def test_examples_in_turn(library) -> None:
    for d in (data(), data(0)):
        pairs = list(d)
        assert len(pairs) == len(d)
        for i, (image, label) in enumerate(pairs):
            np.testing.assert_array_equal(backend.to_numpy(image), backend.to_numpy(d.x)[i])
            assert (type(label), label) == (int, i % 3)


def test_classes_are_named_by_their_numbers_unless_named(library) -> None:
    x, y = np.zeros((3, 4), np.float32), np.array([2, 0, 1])
    assert Dataset(backend.asarray(x), backend.asarray(y)).class_names == ("0", "1", "2")
    assert Dataset(backend.asarray(x), backend.asarray(y), list("abc")).class_names == ("a", "b", "c")
    assert Dataset(x[:0], y[:0]).class_names == ()
    with pytest.raises(RangeError, match=r"every label, from label 0 on, got labels from -1 to 1 for 2 names"):
        Dataset(x, y - 1)


def test_bytes_raise_an_error_with_the_fix() -> None:
    with pytest.raises(DTypeError, match=r"got uint8 and int64. Fix: x.astype\(np.float32\) / 255 for bytes$"):
        Dataset(GREY, np.zeros(6, np.int64), ("a",))
    with pytest.raises(DTypeError, match=r"got uint8 and float64. Fix: .* for bytes and y.astype\(np.int64\)$"):
        Dataset(GREY, np.zeros(6), ("a",))
