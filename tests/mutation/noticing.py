"""The tests chosen for one mutant, in one process, in the order given, until one fails: cosmic-ray's test command.

    python -m tests.mutation.noticing chosen.json

Ends with 0 if no test failed.  A test that takes far longer than it should ends the process.
"""

from __future__ import annotations

import faulthandler
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

MEMORY = 12 * 2**30  # bytes of addresses: a mutant that asks for more gets a MemoryError, and leaves the machine alone
RUNNING, NOTICED, STUCK = "running: ", "noticed by: ", "Timeout ("


class Watch:
    """A pytest plugin: takes the chosen tests only, says which one runs, and ends the process if it gets stuck.

    out: where to say it, each on a line of its own; pytest's dots come between.
    """

    def __init__(self, limits: dict[str, float], out: Any) -> None:
        self.place = {name: k for k, name in enumerate(limits)}
        self.limits = limits
        self.out = out

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self) -> None:
        """That a law fails is all one asks: no shrinking, and one failure will do."""
        from hypothesis import Phase, settings  # not before pytest has seen to it that its asserts explain themselves

        phases = [Phase.explicit, Phase.generate]
        settings.register_profile("unshrunk", settings.get_profile("fixed"), phases=phases, report_multiple_bugs=False)
        settings.load_profile("unshrunk")

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted((i for i in items if i.nodeid in self.place), key=lambda i: self.place[i.nodeid])

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
    """Run them; 0 if none failed."""
    told = json.loads(Path(chosen).read_text(encoding="utf-8"))
    Path(told["process"]).write_text(str(os.getpid()), encoding="utf-8")
    if sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    limits = told["limits"]
    if not limits:
        return 0
    files = list(dict.fromkeys(name.partition("::")[0] for name in limits))
    options = ["-m", "", "-x", "-q", "--tb=short", "-p", "no:cacheprovider", f"--basetemp={told['temporary']}"]
    code = pytest.main([*options, *files], plugins=[Watch(limits, out)])
    return 0 if code == pytest.ExitCode.NO_TESTS_COLLECTED else int(code)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
