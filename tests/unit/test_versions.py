"""Which Pythons and systems are promised, said alike everywhere; and what can be tried of those that are not at hand."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROMISED = ["3.11", "3.12", "3.13", "3.14", "3.15"]


def test_the_same_versions_are_promised_everywhere() -> None:
    classifiers = " ".join(PROJECT["project"]["classifiers"])
    assert re.findall(r"Python :: (3\.\d+)", classifiers) == PROMISED
    assert PROJECT["project"]["requires-python"] == f">={PROMISED[0]}"
    assert PROJECT["tool"]["ruff"]["target-version"] == "py" + PROMISED[0].replace(".", "")
    assert PROJECT["tool"]["mypy"]["python_version"] == PROMISED[0]
    workflow = (ROOT / ".github/workflows/tests.yml").read_text(encoding="utf-8")
    assert json.loads(re.search(r"python: (\[.*\])", workflow)[1]) == PROMISED
    assert f"Python {PROMISED[0]} or later" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert "{}.{}".format(*sys.version_info) in PROMISED


#: What pip knows the wheels of a system by.
SYSTEMS = {
    "Linux": ["manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64"],
    "macOS on its own chips": ["macosx_14_0_arm64", "macosx_12_0_arm64", "macosx_11_0_arm64"],
    "Windows": ["win_amd64"],
}


@pytest.mark.network
@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("version", PROMISED)
def test_every_dependency_has_a_wheel(version, system, tmp_path) -> None:
    """As pip resolves them for another Python and system; nothing is installed."""
    asked = ["--dry-run", "--quiet", "--ignore-installed", "--target", str(tmp_path), "--report", "-", "--only-binary=:all:",
             "--python-version", version, "--implementation", "cp", *(f"--platform={p}" for p in SYSTEMS[system]),
             "--ignore-requires-python"]  # fmt: skip  # which pip asks of the Python that it runs on
    wanted = PROJECT["project"]["dependencies"] + PROJECT["project"]["optional-dependencies"]["test"]
    command = [sys.executable, "-m", "pip", "install", *asked, *wanted]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    packages = {each["metadata"]["name"].lower() for each in json.loads(done.stdout)["install"]}
    assert {"numpy", "numba", "matplotlib", "pillow", "tqdm", "pooch", "threadpoolctl", "scikit-learn"} <= packages


#: Windows, as far as it can be imitated: no POSIX functions, no file replaced or removed that is open anywhere.
WINDOWS = """
import os, sys, tempfile
from pathlib import Path
import numpy, numba, matplotlib.figure, pooch, tqdm, PIL.Image, threadpoolctl  # they know where they really are

for module in ("fcntl", "resource", "pwd", "grp", "termios"):
    sys.modules[module] = None
for name in ("sched_getaffinity", "register_at_fork", "fork", "mkfifo", "getuid", "geteuid", "fchmod", "statvfs"):
    if hasattr(os, name):
        delattr(os, name)
sys.platform = "win32"


def strict(change):
    def changed(*paths, **options):
        held = [os.readlink(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{n}")]
        if any(os.path.realpath(path) in held for path in paths):
            raise PermissionError(13, "it is being used by another process", *paths)
        return change(*paths, **options)
    return changed


for name in ("replace", "rename", "unlink", "remove"):
    setattr(os, name, strict(getattr(os, name)))

import minidl
from attacks import AttackResult, fgsm
from attacks.evolution import FoolingResult, fool_direct
from minidl import models
from minidl.data import load_digits
from minidl.optim import SGD
from minidl.train import fit

folder = Path(tempfile.mkdtemp())
train, test = load_digits()
train = train.take(range(64)) if hasattr(train, "take") else train[:64]
net = models.mlp((1, 28, 28), 10, (8,))
for epochs in (1, 2):
    fit(net, train, epochs=epochs, optimizer=SGD(lr=0.1), checkpoint=folder / "run.npz", progress=False)
for _ in range(2):
    minidl.save(net, folder / "net.npz")
    result = fgsm(minidl.load(folder / "net.npz"), test.x[:4], test.y[:4])
    result.save(folder / "result.npz")
    AttackResult.load(folder / "result.npz")
for generations in (2, 3):
    fooled = fool_direct(net, shape=(1, 28, 28), generations=generations, population=10, checkpoint=folder / "evolved")
    fooled.save(folder / "fooled.npz")
FoolingResult.load(folder / "fooled.npz")
print(*sorted(path.name for path in folder.iterdir()))
"""


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="who holds which file is asked of Linux")
def test_training_saving_and_loading_on_an_imitation_of_windows(tmp_path) -> None:
    command = [sys.executable, "-W", "error", "-c", WINDOWS]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", cwd=ROOT)
    assert done.stdout.split() == ["evolved", "fooled.npz", "net.npz", "result.npz", "run.npz"], done.stderr


@pytest.mark.parametrize(
    "demo", sorted(path.name for path in (ROOT / "demos").glob("*.py") if path.name != "common.py")
)
def test_demos_speak_to_consoles_without_greek(demo) -> None:
    """As Python writes into a file or a pipe on Windows: ε becomes a question mark, and no error."""
    environment = os.environ | {"PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0"}
    command = [sys.executable, str(ROOT / "demos" / demo), "--help"]
    done = subprocess.run(command, capture_output=True, env=environment | {"PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr.decode("cp1252")
    assert b"--seed" in done.stdout
