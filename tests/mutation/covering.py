"""The coverage map: which test runs which lines, and its run time.  It is saved until a file changes.

Each test file runs under coverage in its own process (`recording`).  So the caches that one test file fills do not hide
lines from the next, and only the test files that have changed run again.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue

from .recording import IMPORTED
from .trees import Tree, fingerprint

#: Tests that are left out, with the reason: they would fail for a wrong reason, or take long.
LEFT_OUT = {
    "tests/laws/test_mutants.py": "plants its own mutants, by text that must be in the file",
    "tests/laws/kernels/test_twins.py::test_wrong_": "plants wrong kernels, by text that must be in the file",
    "tests/unit/test_cuda.py::test_wrong_": "plants wrong kernels: it passes if anything fails",
    "tests/unit/test_project.py": "documents, files and demos, in new processes: takes minutes",
}


@dataclass
class Map:
    """The records of all test files.

    seconds: the run time of each test.
    tests: by file and line, the tests that run the line.
    imports: by file and line, the test files that run the line while they are imported.
    breadth: how many lines each test runs.
    failed: tests that fail without any mutant, and are left out.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    tests: dict[str, dict[int, set[str]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(set)))
    imports: dict[str, dict[int, set[str]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(set)))
    breadth: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    failed: list[str] = field(default_factory=list)

    def add(self, file: str, record: dict) -> None:
        """Add the record of a test file."""
        names = [IMPORTED, *record["tests"]]
        self.seconds |= record["tests"]
        self.failed += record["failed"]
        for path, lines in record["lines"].items():
            for line, numbers in lines.items():
                for k in numbers:
                    if k:
                        self.tests[path][int(line)].add(names[k])
                        self.breadth[names[k]] += 1
                    else:
                        self.imports[path][int(line)].add(file)


def left_out(test: str) -> bool:
    """Whether a test, or a whole test file, is left out."""
    return test.startswith(tuple(LEFT_OUT))


def read_or_make(trees: list[Tree], work: Path) -> Map:
    """The map of the current tree; records of unchanged test files are read, the others are made."""
    root = trees[0].root
    shared = fingerprint(
        root,
        "minidl/**/*.py",
        "minidl/kernels/cuda/*.cu",
        "attacks/**/*.py",
        "tests/*.py",
        "tests/support/*.py",
        "tests/laws/kernels/twins.py",
    )
    records, missing = {}, SimpleQueue()
    for path in sorted([*root.glob("tests/laws/**/test_*.py"), *root.glob("tests/unit/test_*.py")]):
        name = path.relative_to(root).as_posix()
        if not left_out(name):
            digest = hashlib.sha256(shared.encode() + path.read_bytes()).hexdigest()[:16]
            records[name] = work / "records" / f"{path.parent.name}_{path.stem}_{digest}.json"
            if not records[name].exists():
                missing.put(name)
    if not missing.empty():
        print(f"{missing.qsize()} of {len(records)} test files are run under coverage", file=sys.stderr, flush=True)
        (work / "records").mkdir(exist_ok=True)
        with ThreadPoolExecutor(len(trees)) as pool:
            list(pool.map(lambda tree: _make(tree, missing, records), trees))
    coverage = Map()
    for name, record in records.items():
        coverage.add(name, json.loads(record.read_text(encoding="utf-8")))
    for test in [test for test in coverage.seconds if left_out(test)]:
        del coverage.seconds[test]
    return coverage


def _make(tree: Tree, missing: SimpleQueue[str], records: dict[str, Path]) -> None:
    while not missing.empty():
        name = missing.get()
        unfinished = records[name].with_suffix(f".{tree.folder.name}")
        command = [sys.executable, "-m", "tests.mutation.recording", name, str(unfinished)]
        done = subprocess.run(command, cwd=tree.root, env=tree.environment(), capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{name}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
        for old in records[name].parent.glob(f"{records[name].stem[:-16]}{'?' * 16}.json"):
            old.unlink()
        unfinished.rename(records[name])
        print(f"{name}: {done.stdout.strip().splitlines()[-1]}", file=sys.stderr, flush=True)
