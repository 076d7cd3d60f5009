"""The project as a whole: quick to import, its demos run, its names are where the documentation says."""

from __future__ import annotations

import builtins
import inspect
import re
import runpy
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import attacks
import minidl
from tests.support.project import MODULES, ROOT


def python(*arguments: str, cwd: Path = ROOT) -> str:
    done = subprocess.run([sys.executable, *arguments], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_is_light() -> None:
    """numba, matplotlib, Pillow, SciPy, scikit-learn, pooch and tqdm wait until they are needed."""
    heavy = ["numba", "matplotlib", "pooch", "tqdm", "requests", "cupy", "scipy", "sklearn", "PIL"]
    code = f"import sys, minidl, attacks; print([name for name in {heavy} if name in sys.modules])"
    assert python("-c", code).strip() == "[]"


def test_star_imports_shadow_nothing() -> None:
    """Neither each other's names nor Python's own, in whichever order they stand."""
    names = [*minidl.__all__, *attacks.__all__]
    assert len(names) == len(set(names))
    assert not set(names) & set(dir(builtins))
    for package in (minidl, attacks):
        assert set(package.__all__) <= set(dir(package))


def test_what_a_notebook_begins_with_is_at_the_top() -> None:
    assert minidl.Sequential is minidl.models.Sequential
    assert (minidl.fit, minidl.evaluate) == (minidl.train.fit, minidl.train.evaluate)
    assert (minidl.Dataset, minidl.load_digits) == (minidl.data.Dataset, minidl.data.load_digits)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_every_file_and_public_name_says_what_it_is(module) -> None:
    assert module.__doc__
    assert len(module.__doc__.strip().splitlines()[0]) > 20
    for name, value in vars(module).items():
        if name.startswith("_") or getattr(value, "__module__", "") != module.__name__:
            continue
        if inspect.isclass(value) or inspect.isfunction(value):
            assert value.__doc__, f"{module.__name__}.{name}"


def test_names_promised_are_there() -> None:
    for package in (minidl, attacks):
        for name in package.__all__:
            assert hasattr(package, name)
    assert {"softmax_regression", "mlp"} <= set(dir(minidl.models))
    assert {"SGD", "RMSProp", "Adam"} <= set(dir(minidl.optim))
    assert {"load_cifar10", "load_digits", "load_mnist", "load_fashion_mnist"} <= set(dir(minidl.data))


DOCUMENTS = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in sorted(
        [
            *ROOT.glob("*.md"),
            *(path for folder in ("demos", "minidl", "tests") for path in (ROOT / folder).rglob("*.md")),
        ]
    )
}
README, GALLERY = DOCUMENTS["README.md"], DOCUMENTS["demos/README.md"]
COMMANDS = ["pip install -e . && python demos/quickstart.py", 'pip install -e ".[test]" && pytest']


def anchors(text: str) -> set[str]:
    """What a link may name behind #: the headings as GitHub writes them."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_documents_name_files_that_exist(name) -> None:
    folder = (ROOT / name).parent
    for link in set(re.findall(r"\]\((?!http)([^)]+)\)", DOCUMENTS[name])):
        path, _, anchor = link.partition("#")
        target = (folder / path).resolve() if path else ROOT / name
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target.read_text(encoding="utf-8")), link
    for file in set(re.findall(r"`(\w+\.py)`", DOCUMENTS[name])):
        assert name == "CHANGELOG.md" or list(ROOT.glob(f"*/**/{file}")), file


def test_the_first_screens_percentages_are_of_the_quickstart() -> None:
    table = (ROOT / "demos" / "results" / "quickstart.txt").read_text(encoding="utf-8")
    clean, fgsm, noise = (
        round(100 * float(error)) for error in re.findall(r"^(?:clean|FGSM, ε .25|noise).*? (0\.\d+)", table, re.M)
    )
    first_screen = "\n".join(README.splitlines()[:12])
    assert re.findall(r"(\d+) (?:%|to )", first_screen) == [str(100 - clean), str(fgsm), str(clean), str(noise)]


def test_the_readme_is_short_and_links_to_much() -> None:
    assert len(README.splitlines()) <= 130
    assert README.count("](") > 40


def test_the_readmes_commands_stand_on_its_first_screen_and_ci_runs_the_second() -> None:
    first_screen = README.splitlines()[:20]
    assert [line.strip() for line in first_screen if line.startswith("    ")] == COMMANDS
    assert COMMANDS[1] in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def pictures(folder: Path) -> None:
    """A few random pictures of two classes, such as a reader of the README may have."""
    from PIL import Image

    rng = np.random.default_rng(0)
    for animal in ("cat", "dog"):
        (folder / animal).mkdir(parents=True)
        for number in range(4):
            Image.fromarray(rng.integers(0, 256, (40, 30, 3), dtype=np.uint8)).save(folder / animal / f"{number}.png")


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if name == "demos/README.md" else ())
     for name, text in DOCUMENTS.items() if "```python" in text],
)  # fmt: skip
def test_the_documents_python_runs(name, tmp_path) -> None:
    code = "".join(re.findall(r"```python\n(.*?)```", DOCUMENTS[name], flags=re.DOTALL))
    pictures(tmp_path / "pets")
    output = python("-c", code, cwd=tmp_path)
    assert {"README.md": "success", "demos/README.md": "Accuracy under fgsm", "demos/coursework.md": ""}.get(
        name, "calls: pull[0]"
    ) in output


def test_the_readme_shows_how_to_build_one_of_each() -> None:
    section = README.split("## Build your own")[1].split("\n## ")[0]
    for thing in ("An operation", "A layer", "A network", "A loss", "An attack", "Your own images", "Saving"):
        assert f"# {thing}: " in section


QUOTED = [
    "lacok.txt",
    "papernot_lenet.txt",
    "madry_mnist.txt",
    "carlini_wagner.txt",
    "nguyen.txt",
    "papernot_blackbox.txt",
]


def test_the_documents_quote_the_measured_tables() -> None:
    """Lines of the documents' tables are lines of the committed runs."""
    results = [ROOT / "demos" / "results" / name for name in QUOTED]
    measured = "".join(path.read_text(encoding="utf-8") for path in results)
    rows = re.findall(
        r"^    (?=original|FGSM|noise|tanh|relu|PGD|APGD|C&W|JSMA  |BIM|the digits|direct|CPPN|gradient)(.*)$",
        README + GALLERY,
        re.MULTILINE,
    )
    assert len(rows) == 8 + 6 + 10 + 6 + 6 + 1
    for row in rows:
        assert row in measured


def measured_in(line: str) -> str:
    """The text of the results that a line of the README links to."""
    paths = re.findall(r"\]\(([\w/]+/results/\w+\.txt)\)", line)
    return "\n".join((ROOT / path).read_text(encoding="utf-8") for path in paths)


def numbers(text: str) -> list[str]:
    """The numbers in a line that were measured: those with a point, or with a unit behind."""
    text = re.sub(r"\]\([^)]*\)", "", text)
    return re.findall(r"(?<![\w.])\d*\.\d+|(?<![\w.])\d+(?= ms| MB|00 of)", text)


def test_the_readmes_numbers_were_printed_by_the_commands_it_links_to() -> None:
    results = README.split("## What comes out")[1].split("\n## ")[0]
    bullets = [line for line in results.splitlines() if line.startswith("- ")]
    assert len(bullets) == 6
    for line in bullets:
        assert len(numbers(line)) >= 3, line
        for number in numbers(line):
            assert number in measured_in(line), f"{number}: {line}"


def test_the_readmes_run_times_were_measured() -> None:
    speed = README.split("## How fast")[1].split("\n## ")[0]
    measured = set(re.findall(r"[\d.]+", measured_in(speed)))
    rows = [line for line in speed.splitlines() if line.startswith("| ")][1:]
    assert len(rows) == 8
    for row in rows:
        _, ours, theirs = (cell.strip() for cell in row.strip("|").split(" | "))
        times = re.findall(r"(?<![\w.])\d+\.?\d*", ours + " " + re.sub(r"`.*?`", "", theirs))
        assert len(times) >= 3, row
        for number in times:
            assert number in measured, f"{number}: {row}"


@pytest.mark.parametrize(
    "demo", sorted(path.name for path in (ROOT / "demos").glob("*.py") if path.name != "common.py")
)
def test_demos_explain_themselves(demo) -> None:
    output = python(f"demos/{demo}", "--help")
    assert "--seed" in output
    assert "--out" in output


NGUYEN = ["gallery", "median", "cppns", "transfer", "retrained", "resistance"]
FEW_EVOLVED = ["--epochs", "1", "--rounds", "1", "--evolutions", "1"]
PAPERNOT = ["07_saliency", "09_from_nothing", "10_increasing", "10_decreasing", "12_success", "13_distortion",
            "14_hardness", "15_distance", "16_distortions", "17_intensities"]  # fmt: skip
MADRY = ["digits", "figure1", "surfaces", "epsilon"]
FEW_CONTROLS = ["--controls", "2", "--queries", "60"]
TRANSFER = ["within", "between", "equal_length"]
BY_SCIKIT_LEARN = pytest.mark.skipif(not find_spec("sklearn"), reason="scikit-learn trains the other techniques")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "written"),
    [
        (
            ["demos/quickstart.py", "--epochs", "1", "--generations", "3"],
            ["quickstart.txt", *(f"quickstart_{name}.png" for name in ("digits", "accuracy", "others", "fooled"))],
        ),
        (["demos/two_walks.py"], ["two_walks.txt", "two_walks.png"]),
        (["demos/lacok.py", "--epochs", "1"], ["lacok.txt", "lacok_figure1.png", "lacok_coverage.png"]),
        (
            ["demos/lecture_linear.py", "--epochs", "1"],
            ["lecture_linear.txt", "lecture_o_and_x.png", "lecture_straight_lines.png"],
        ),
        (
            ["demos/papernot_and.py", "--seeds", "1"],
            ["papernot_and.txt", "papernot_and_surface.png", "papernot_and_derivative.png"],
        ),
        (
            ["demos/kurakin.py", "--epochs", "1", "1", "--images", "4"],
            ["kurakin.txt", "kurakin_accuracy.png", "kurakin_destruction.png", "kurakin_panel.png"],
        ),
        (["demos/goodfellow.py", "--epochs", "1", "--digits", "500"], ["goodfellow.txt", "goodfellow_weights.png"]),
        (
            ["demos/goodfellow_maxout.py", "--epochs", "1", "--digits", "200"],
            ["goodfellow_maxout.txt", "goodfellow_maxout_figure4.png"],
        ),
        (
            ["demos/goodfellow_networks.py", "--epochs", "1", "--digits", "300", "--rubbish", "50"],
            ["goodfellow_networks.txt", "goodfellow_networks_rubbish.png"],
        ),
        (
            ["demos/goodfellow_rbf.py", "--epochs", "1", "--digits", "30", "--queries", "30", "--steps", "5"],
            ["goodfellow_rbf.txt", "goodfellow_rbf_distance.png"],
        ),
        (
            ["demos/gu_rigazio.py", "--epochs", "1", "--digits", "5", "--steps", "10", "--learn-from", "300"],
            ["gu_rigazio.txt", "gu_rigazio_digits.png", "gu_rigazio_distance.png"],
        ),
        (
            [
                "demos/distillation.py",
                "--epochs",
                "1",
                "--digits",
                "200",
                "--images",
                "60",
                *["--few", "3", "--steps", "5"],
            ],
            ["distillation.txt", "distillation.png"],
        ),
        (
            ["demos/backgrounds.py", "--epochs", "1", "--digits", "300", "--images", "10", "--steps", "3"],
            ["backgrounds.txt", "backgrounds_classes.png", "backgrounds_digits.png"],
        ),
        pytest.param(
            [
                "demos/billovits.py",
                "--epochs",
                "3",
                "--digits",
                "1500",
                "--images",
                "60",
                *["--few", "4", "--steps", "10"],
            ],
            ["billovits.txt", "billovits_roc.png"],
            marks=BY_SCIKIT_LEARN,
        ),
        (
            ["demos/madry.py", "--epochs", "1", "--digits", "30"],
            ["madry.txt", "madry_natural.npz", "madry_trained.npz", *(f"madry_{name}.png" for name in MADRY)],
        ),
        (
            ["demos/madan.py", "--width", "1", "--epochs", "1", "1", "--images", "1", "--steps", "5"],
            ["madan_digits.txt", "madan_digits.npz", "madan_digits_fig6.png", "madan_digits_panel.png"],
        ),
        (
            ["demos/carlini_wagner.py", "--epochs", "1", "1", "--learn-from", "500", "--digits", "1", "--steps", "3"],
            ["carlini_wagner.txt", *(f"carlini_wagner_{norm}.png" for norm in ("l0", "l2", "linf"))],
        ),
        (
            ["demos/nguyen.py", "--digits", "300", "--generations", "3", *FEW_EVOLVED],
            ["nguyen.txt", *(f"nguyen_{name}.png" for name in NGUYEN)],
        ),
        (
            ["demos/few_pixel.py", "--epochs", "1", "--learn-from", "500", "--images", "3", "--generations", "3"],
            ["few_pixel.txt", "few_pixel.png"],
        ),
        (
            ["demos/papernot_lenet.py", "--epochs", "1", "1", "--digits", "2", "--sets", "validation,test"],
            ["papernot_lenet.txt", "lenet_tanh.npz", *(f"papernot_fig{name}.png" for name in PAPERNOT)],
        ),
        pytest.param(
            ["demos/papernot_transfer.py", "--learn-from", "150", "--images", "30", "--epochs", "2", *FEW_CONTROLS],
            ["papernot_transfer.txt", *(f"papernot_transfer_{name}.png" for name in TRANSFER)],
            marks=BY_SCIKIT_LEARN,
        ),
        pytest.param(
            ["demos/papernot_blackbox.py", "--learn-from", "300", "--images", "50", "--epochs", "2", "--rounds", "2"],
            ["papernot_blackbox.txt", "papernot_blackbox_digits.png", "papernot_blackbox_rounds.png"],
            marks=BY_SCIKIT_LEARN,
        ),
    ],
)
def test_demos_run_and_write_what_they_say(arguments, written, tmp_path) -> None:
    output = python(*arguments, "--out", str(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(written)
    for name in written:
        content = (tmp_path / name).read_bytes()
        assert len(content) > 200
        assert not name.endswith(".png") or content.startswith(b"\x89PNG")
        if name.endswith(".txt"):
            rules = re.findall("^-+$", content.decode(), re.MULTILINE)
            assert max(map(len, rules), default=0) <= 100, "a table is too wide"
    assert "error" in output


def test_too_few_candidates_raise_an_error_before_networks_are_trained(monkeypatch, capsys) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "demos"))
    monkeypatch.setattr(sys, "argv", ["few_pixel.py", "--population", "3", "--epochs", "1", "--learn-from", "50"])
    with pytest.raises(SystemExit) as refused:
        runpy.run_path(str(ROOT / "demos" / "few_pixel.py"), run_name="__main__")
    assert refused.value.code == 2
    assert "argument --population: at least 4, not 3" in capsys.readouterr().err


ON_THE_STAND_IN = """
import runpy, sys
sys.path[:0] = [".", "demos"]
from minidl import backend
from minidl.kernels import reference
from tests.support import strict
backend.BACKENDS["strict"] = lambda: backend.Backend("strict", strict, lambda: reference)
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [
    ["demos/quickstart.py", "--epochs", "1", "--generations", "1"],
    ["demos/two_walks.py"],
    ["demos/lacok.py", "--epochs", "1"],
    ["demos/lecture_linear.py", "--epochs", "1"],
    ["demos/papernot_and.py", "--seeds", "1"],
    ["demos/kurakin.py", "--epochs", "1", "1", "--images", "2"],
    ["demos/goodfellow.py", "--epochs", "1", "--digits", "200"],
    ["demos/goodfellow_maxout.py", "--epochs", "1", "--digits", "60"],
    ["demos/goodfellow_networks.py", "--epochs", "1", "--digits", "200", "--rubbish", "20"],
    ["demos/goodfellow_rbf.py", "--epochs", "1", "--digits", "10", "--queries", "20", "--steps", "3"],
    ["demos/gu_rigazio.py", "--epochs", "1", "--digits", "4", "--steps", "5", "--learn-from", "60"],
    ["demos/distillation.py", "--epochs", "1", "--digits", "60", "--images", "20", "--few", "2", "--steps", "3"],
    ["demos/backgrounds.py", "--epochs", "1", "--digits", "100", "--images", "5", "--check", "1", "--steps", "2"],
    pytest.param(["demos/billovits.py", *["--epochs", "3", "--digits", "1500", "--images", "20", "--few", "2", "--steps", "5"]],
                 marks=BY_SCIKIT_LEARN),
    ["demos/madry.py", "--epochs", "1", "--digits", "10"],
    ["demos/madan.py", "--width", "1", "--epochs", "1", "1", "--images", "1", "--steps", "2"],
    ["demos/carlini_wagner.py", "--epochs", "1", "1", "--learn-from", "300", "--digits", "1", "--steps", "2"],
    ["demos/nguyen.py", "--digits", "50", "--generations", "1", *FEW_EVOLVED],
    ["demos/few_pixel.py", "--epochs", "1", "--learn-from", "100", "--images", "1", "--generations", "1"],
    ["demos/papernot_lenet.py", "--epochs", "1", "1", "--digits", "1", "--sets", "test"],
    pytest.param(["demos/papernot_transfer.py", "--learn-from", "50", "--images", "5", "--epochs", "1", *FEW_CONTROLS],
                 marks=BY_SCIKIT_LEARN),
    pytest.param(["demos/papernot_blackbox.py", "--learn-from", "100", "--images", "5", "--epochs", "1", "--rounds", "1"],
                 marks=BY_SCIKIT_LEARN),
], ids=lambda arguments: arguments[0])  # fmt: skip
def test_demos_run_on_other_arrays(arguments, tmp_path) -> None:
    """With --backend and a library that forgives nothing, as on a GPU."""
    demo, *options = arguments
    code = (
        f"import sys; sys.argv = {[demo, '--backend', 'strict', '--out', str(tmp_path), *options]!r}" + ON_THE_STAND_IN
    )
    python("-c", code)
    assert any(path.suffix == ".txt" for path in tmp_path.iterdir())


def test_the_lectures_numbers(tmp_path) -> None:
    python("demos/lecture_linear.py", "--epochs", "1", "--out", str(tmp_path))
    rows = [line.split() for line in (tmp_path / "lecture_linear.txt").read_text(encoding="utf-8").splitlines()]
    assert ["x", "-2.0000", "0.1192", "0.1192"] in rows
    assert ["x", "+", "0.1", "sign(w)", "1.4000", "0.8022", "0.8022"] in rows


def test_the_two_walks_numbers(tmp_path) -> None:
    printed = python("demos/two_walks.py", "--out", str(tmp_path))
    results = (ROOT / "demos" / "results" / "two_walks.txt").read_text(encoding="utf-8")
    assert results.split("\n\n")[1] in printed
    assert "⟨J·t, g⟩ = -7 and ⟨t, Jᵀ·g⟩ = -7" in printed


def test_pictures_of_every_kind_of_image() -> None:
    from attacks.report.plots import as_picture, image_rows
    from minidl.errors import ShapeError

    for shape, drawn in (((1, 4, 5), (4, 5)), ((3, 4, 5), (4, 5, 3)), ((4, 5), (4, 5)), ((16,), (4, 4))):
        assert as_picture(np.zeros(shape)).shape == drawn
    for shape in ((15,), (2, 4, 5), (1, 1, 4, 5)):
        with pytest.raises(ShapeError):
            as_picture(np.zeros(shape))
    figure = image_rows(
        {"one": [np.zeros((4, 4))], "two": [np.ones((4, 4))]}, {"two": ["caption"]}, wrong={"two": [True]}
    )
    assert len(figure.axes) == 2
