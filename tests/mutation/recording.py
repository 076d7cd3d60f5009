"""Run one test file under coverage, in its own process: which test runs which lines, and its run time.

    python -m tests.mutation.recording tests/unit/test_io.py record.json

Lines that run during the import of the file and the collection of its tests are recorded for the file as a whole.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import coverage
import pytest

IMPORTED = "imported"
MEASURED = ("minidl/*", "attacks/*")


class Recorder:
    """A pytest plugin that sets coverage's context to the running test."""

    def __init__(self, measured: coverage.Coverage) -> None:
        self.measured = measured
        self.seconds: dict[str, float] = defaultdict(float)
        self.outcomes: dict[str, set[str]] = defaultdict(set)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Any:
        self.measured.switch_context(item.nodeid)
        try:
            return (yield)
        finally:
            self.measured.switch_context(IMPORTED)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seconds[report.nodeid] += report.duration
        self.outcomes[report.nodeid].add(report.outcome)


def main(file: str, record: str) -> int:
    """Run the tests of the file and write the record."""
    measured = coverage.Coverage(data_file=None, include=list(MEASURED), config_file=False, messages=False)
    measured.set_option("run:disable_warnings", ["module-not-measured", "no-data-collected"])
    recorder = Recorder(measured)
    measured.start()
    measured.switch_context(IMPORTED)
    code = pytest.main(["-m", "", "-q", "-p", "no:cacheprovider", file], plugins=[recorder])
    measured.stop()

    passed = sorted(name for name, outcomes in recorder.outcomes.items() if outcomes == {"passed"})
    number = {name: k for k, name in enumerate([IMPORTED, *passed])}
    data, root = measured.get_data(), Path.cwd()
    lines = {}
    for path in data.measured_files():
        tests = {line: sorted(number[name] for name in names if name in number)
                 for line, names in data.contexts_by_lineno(path).items()}  # fmt: skip
        lines[Path(path).relative_to(root).as_posix()] = {line: numbers for line, numbers in tests.items() if numbers}
    content = {
        "tests": {name: round(recorder.seconds[name], 3) for name in passed},
        "failed": sorted(name for name, outcomes in recorder.outcomes.items() if "failed" in outcomes),
        "lines": lines,
    }
    Path(record).write_text(json.dumps(content, separators=(",", ":")), encoding="utf-8")
    return 0 if code in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED) else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
