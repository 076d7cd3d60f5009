"""Run the tests chosen for one mutant, in the given order, until one fails: cosmic-ray's test command.

    python -m tests.mutation.noticing chosen.json

The exit code is 0 if no test failed.  A test that exceeds its time limit ends the process.
"""

from __future__ import annotations

import faulthandler
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

MEMORY = 12 * 2**30  # bytes of address space: a mutant that needs more raises MemoryError
RUNNING, NOTICED, STUCK = "running: ", "noticed by: ", "Timeout ("


class Watch:
    """A pytest plugin: selects and orders the chosen tests, prints which one runs, and ends the process if one hangs.

    limits: the seconds that each test may take, in the order in which they run.
    out: the stream to print to.
    """

    def __init__(self, limits: dict[str, float], out: Any) -> None:
        self.index = {name: k for k, name in enumerate(limits)}
        self.limits = limits
        self.out = out

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self) -> None:
        """Turn shrinking off: it is enough to know that a law fails."""
        from hypothesis import Phase, settings  # after pytest has rewritten its asserts

        phases = [Phase.explicit, Phase.generate]
        settings.register_profile("unshrunk", settings.get_profile("fixed"), phases=phases, report_multiple_bugs=False)
        settings.load_profile("unshrunk")

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted((i for i in items if i.nodeid in self.index), key=lambda i: self.index[i.nodeid])

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Any:
        print(f"\n{RUNNING}{item.nodeid}", file=self.out, flush=True)
        faulthandler.dump_traceback_later(self.limits[item.nodeid], exit=True, file=self.out)
        try:
            return (yield)
        finally:
            faulthandler.cancel_dump_traceback_later()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            print(f"\n{NOTICED}{report.nodeid}", file=self.out, flush=True)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            print(f"\n{NOTICED}importing {report.nodeid}", file=self.out, flush=True)


def main(chosen: str) -> int:
    """Run the tests; returns 0 if none failed."""
    task = json.loads(Path(chosen).read_text(encoding="utf-8"))
    Path(task["process"]).write_text(str(os.getpid()), encoding="utf-8")
    if sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    limits = task["limits"]
    if not limits:
        return 0
    files = list(dict.fromkeys(name.partition("::")[0] for name in limits))
    options = ["-m", "", "-x", "-q", "--tb=short", "-p", "no:cacheprovider", f"--basetemp={task['temporary']}"]
    code = pytest.main([*options, *files], plugins=[Watch(limits, out)])
    return 0 if code == pytest.ExitCode.NO_TESTS_COLLECTED else int(code)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
