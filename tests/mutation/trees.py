"""Copies of the tree, one for each worker, so that each has one mutant at a time; and the environment of their tests."""

from __future__ import annotations

import ast
import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
KERNELS = Path("minidl/kernels")


@dataclass(frozen=True)
class Tree:
    """A worker's folder: the copy of the tree, and all files that a test run writes."""

    folder: Path

    @property
    def root(self) -> Path:
        return self.folder / "tree"

    @property
    def compiled(self) -> Path:
        """The folder of Numba's cache for the unchanged kernels."""
        return self.folder / "numba"

    def environment(self, compiled: Path | None = None) -> dict[str, str]:
        """The environment of test runs: they import the copy, and use no caches or home outside of the folder.

        compiled: another folder for Numba's cache.
        """
        for name in ("home", "temporary"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        home = str(self.folder / "home")
        unwanted = ("PYTEST_ADDOPTS", "MINIDL_BACKEND", "MINIDL_THREADS", "MINIDL_DATA", "NUMBA_DISABLE_JIT")
        inherited = {name: value for name, value in os.environ.items() if name not in unwanted}
        return inherited | {
            "PYTHONPATH": str(self.root), "PATH": os.pathsep.join([str(Path(sys.executable).parent), inherited["PATH"]]),
            "NUMBA_CACHE_DIR": str(compiled or self.compiled), "OPENBLAS_NUM_THREADS": "1", "COVERAGE_CORE": "ctrace",
            "HOME": home, "XDG_CACHE_HOME": home, "MPLCONFIGDIR": home, "TMPDIR": str(self.folder / "temporary"),
        }  # fmt: skip

    def compiled_without(self, stale: set[str]) -> Path:
        """A copy of Numba's cache without these kernel files, so that a mutant does not change the cache of other runs."""
        copy = self.folder / "numba_of_a_mutant"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.compiled, copy, ignore=lambda _, names: [n for n in names if n.partition(".")[0] in stale])
        return copy


def files() -> list[str]:
    """The names of all files that git tracks or would add, committed or not."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    output = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    return sorted(name for name in output.split("\0") if name and (ROOT / name).is_file())


def copies(work: Path, count: int) -> list[Tree]:
    """Make or update `count` equal copies of the tree.

    Unchanged files keep their dates, by which Python and Numba recognise what they have compiled before.
    """
    trees = [Tree(work / f"worker_{k}") for k in range(count)]
    names = files()
    source = ROOT
    for tree in trees:
        for name in names:
            original, copy = source / name, tree.root / name
            if not copy.is_file() or copy.read_bytes() != original.read_bytes():
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(original, copy)
        for path in [path for path in tree.root.rglob("*.py") if str(path.relative_to(tree.root)) not in names]:
            path.unlink()
        kernels, record = fingerprint(tree.root, f"{KERNELS}/*.py"), tree.folder / "kernels"
        if not record.exists() or record.read_text(encoding="utf-8") != kernels:  # Numba does not check inlined files
            shutil.rmtree(tree.compiled, ignore_errors=True)
            record.write_text(kernels, encoding="utf-8")
        tree.compiled.mkdir(exist_ok=True)
        source = tree.root
    return trees


def check(tree: Tree) -> None:
    """Raise `RuntimeError` unless tests in the copy import the copy; else every mutant would survive."""
    code = "import minidl, attacks; print(minidl.__file__); print(attacks.__file__)"
    output = subprocess.run([sys.executable, "-c", code], cwd=tree.root, env=tree.environment(), capture_output=True,
                            text=True, check=True).stdout  # fmt: skip
    for line in output.split():
        if not Path(line).resolve().is_relative_to(tree.root.resolve()):
            raise RuntimeError(f"tests in {tree.root} import {line}")


def fingerprint(root: Path, *patterns: str) -> str:
    """A digest of the names and contents of all matching files."""
    digest = hashlib.sha256()
    for path in sorted({path for pattern in patterns for path in root.glob(pattern)}):
        digest.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()


# --- which kernels are compiled from which files -----------------------------------------------------------


def compiled_from(root: Path) -> dict[str, set[str]]:
    """For each file with compiled loops, all kernel files that the compiled code depends on.

    Numba compares only the date of the file with the loop itself.
    """
    trees = {path.stem: ast.parse(path.read_text(encoding="utf-8")) for path in sorted((root / KERNELS).glob("*.py"))}
    reached = {}
    for name, tree in trees.items():
        loops = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and is_compiled(node)]
        if loops:
            used = {node.id for loop in loops for node in ast.walk(loop) if isinstance(node, ast.Name)}
            reached[name] = {name, "compiled"} | {_origin(trees, name, word) for word in used}
    for _ in reached:  # at least the length of any chain of imports
        for sources in reached.values():
            sources |= {further for source in list(sources) for further in reached.get(source, set())}
    return reached


def is_compiled(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether Numba compiles the function; coverage does not record its lines."""
    return "compiled" in decorators(function)


def decorators(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    """The names in its decorators."""
    nodes = [node for decorator in function.decorator_list for node in ast.walk(decorator)]
    return {node.id for node in nodes if isinstance(node, ast.Name)} | {
        node.attr for node in nodes if isinstance(node, ast.Attribute)
    }


def _origin(trees: dict[str, ast.Module], name: str, word: str) -> str:
    """The kernel file that defines a name of another kernel file, through any number of imports."""
    for node in trees[name].body:
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            for alias in node.names:
                if (alias.asname or alias.name) == word:
                    if node.module is None:  # a file as a whole: from . import reference
                        return alias.name
                    if node.module in trees:
                        return _origin(trees, node.module, alias.name)
    return name
