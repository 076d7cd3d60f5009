"""Find mutants of minidl and attacks that no test detects.

    python -m tests.mutation                              a sample of 400, seed 0: about half an hour
    python -m tests.mutation --mutants 1000 --seed 1      another, larger one
    python -m tests.mutation --only minidl/kernels        of some files
    python -m tests.mutation --survivors                  the last run's survivors again, after tests were added
    python -m tests.mutation --mutant minidl/core.py:57   every mutant of a line, each with its outcome
    python -m tests.mutation --mutant minidl/core.py:57 --show    print them, without running any test
    python -m tests.mutation --unchanged 20               the tests of 20 mutants of the sample, on the unchanged tree

An interrupted run continues if it is called again with the same options and the same files.  The table is written to
tests/mutation/results/seed_N.txt, except for runs with --only.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

try:
    import coverage  # noqa: F401
    from cosmic_ray.config import load_config
    from cosmic_ray.work_db import WorkDB, use_db
    from cosmic_ray.work_item import MutationSpec, WorkItem, WorkResult
except ImportError as error:
    sys.exit(f'{error}; pip install "cosmic-ray>=8.7" "coverage>=7.6"')

from . import covering, reporting, sampling, trees, working
from .choosing import Chooser
from .sampling import Mutant, Population

HERE = Path(__file__).parent


def command_line() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser("python -m tests.mutation", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--mutants", type=int, default=400, metavar="N", help="size of the sample (default: 400)")
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="PATH", help="only files and folders below minidl and attacks"
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, metavar="N")
    parser.add_argument("--survivors", action="store_true", help="only the survivors of the last run of this seed")
    parser.add_argument("--mutant", metavar="PATH:LINE[:OPERATOR]", help="all mutants that begin on a line")
    parser.add_argument("--show", action="store_true", help="with --mutant: do not run them")
    parser.add_argument("--unchanged", type=int, metavar="N", help="no mutants: test that the tests pass without")
    parser.add_argument("--work", type=Path, default=trees.ROOT / "build" / "mutation", metavar="FOLDER")
    return parser


class Harness:
    """One call of the command: copies, mutants, tests, results."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.work = options, options.work.resolve()
        self.config = load_config(str(HERE / "cosmic-ray.toml"))
        self.work.mkdir(parents=True, exist_ok=True)
        self.lock = (self.work / "lock").open("w")
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            sys.exit(f"another run is in {self.work}; --work names another folder")
        self.trees = trees.copies(self.work, options.workers)
        for tree in self.trees:
            trees.check(tree)
        os.chdir(self.trees[0].root)  # cosmic-ray's paths are relative
        name = f"seed_{options.seed}" + "".join("_" + part.strip("/").replace("/", ".") for part in options.only)
        self.session, self.about = self.work / f"{name}.sqlite", self.work / f"{name}.json"
        self.result = reporting.RESULTS / f"{name}.txt" if not options.only else self.work / f"{name}.txt"
        self._chooser: Chooser | None = None

    def population(self, only: list[str]) -> Population:
        return sampling.population(self.trees[0].root, self.work, self.config, only)

    def task(self, mutant: Mutant) -> working.Task:
        """A mutant with the tests chosen for it."""
        if self._chooser is None:
            self._chooser = Chooser(self.trees[0].root, covering.read_or_make(self.trees, self.work))
            for test in self._chooser.map.failed:
                log(f"{test} fails without any mutant, and is left out")
        made, text = mutant.made, (self.trees[0].root / mutant.path).read_text(encoding="utf-8")
        start, end = sampling.in_bytes(text, made.start_pos), sampling.in_bytes(text, made.end_pos)
        tests, direct = self._chooser.choose(mutant.path, start, end)
        seconds = self._chooser.map.seconds
        return working.Task(mutant.item, {test: working.limit(seconds.get(test, 100)) for test in tests}, direct)

    def run(self, mutants: list[Mutant]) -> Iterator[tuple[Mutant, WorkResult]]:
        """Run mutants and print the outcome of each."""
        by_job = {mutant.item.job_id: mutant for mutant in mutants}
        tasks = [self.task(mutant) for mutant in mutants]
        for k, (item, result) in enumerate(working.run(tasks, self.trees, self.config), 1):
            verdict = working.verdict(result)
            mutant, test = by_job[item.job_id], f" by {verdict.test}" if verdict.test else ""
            log(
                f"{k}/{len(tasks)}, {mutant.path}:{mutant.line} {mutant.operator}: {verdict.outcome}{test}, {verdict.seconds:.0f} s"
            )
            yield mutant, result

    def write(self) -> None:
        """Write and print the report of the session."""
        about = json.loads(self.about.read_text(encoding="utf-8"))
        text = reporting.report([(m, working.verdict(r)) for m, r in self.read()], about)
        self.result.parent.mkdir(exist_ok=True)
        self.result.write_text(text, encoding="utf-8")
        print(text)

    def read(self) -> list[tuple[Mutant, WorkResult]]:
        """The results of the session, as cosmic-ray keeps them."""
        with use_db(str(self.session), WorkDB.Mode.create) as database:
            items = database.completed_work_items
        return [(Mutant.of(item, (result.diff or "").split("\n")[3:]), result) for item, result in items]

    def sources(self) -> str:
        return trees.fingerprint(self.trees[0].root, "minidl/**/*.py", "minidl/kernels/cuda/*.cu", "attacks/**/*.py")

    def this_run(self) -> dict[str, str]:
        words = list(sys.argv[1:])
        if "--work" in words:  # the report does not depend on the folder
            index = words.index("--work")
            del words[index : index + 2]
        command = " ".join(["python -m tests.mutation", *words])
        return {"date": datetime.now().isoformat(" ", "minutes"), "commit": reporting.commit(), "command": command}

    # --- the commands --------------------------------------------------------------------------------------

    def sample(self) -> None:
        """Run a whole sample, or continue an interrupted run."""
        about = json.loads(self.about.read_text(encoding="utf-8")) if self.about.exists() else {}
        same = about.get("sources") == self.sources() and about.get("asked") == self.options.mutants
        waiting = self.waiting() if same else []
        if waiting:
            log(f"{len(self.read())} mutants are done; {len(waiting)} are not")
        else:
            population = self.population(self.options.only)
            waiting = population.sample(self.options.seed, self.options.mutants)
            about = {"sources": self.sources(), "asked": self.options.mutants, "seed": self.options.seed, "made": population.made,
                     "left_out": dict(population.left_out), "rest": len(population.items), "runs": []}  # fmt: skip
            with use_db(str(self.session), WorkDB.Mode.create) as database:
                database.clear()
                database.add_work_items([mutant.item for mutant in waiting])
        about["runs"].append(self.this_run())
        self.about.write_text(json.dumps(about), encoding="utf-8")
        with use_db(str(self.session), WorkDB.Mode.create) as database:
            for mutant, result in self.run(waiting):
                database.set_result(mutant.item.job_id, result)
        self.write()

    def waiting(self) -> list[Mutant]:
        """The mutants of the session that have no result yet."""
        with use_db(str(self.session), WorkDB.Mode.create) as database:
            items = database.pending_work_items
        files = Population(self.trees[0].root)
        return [mutant for mutant in map(files.mutant, items) if mutant is not None]

    def survivors(self) -> None:
        """Run the survivors of the last run again, also if their lines have moved."""
        done = self.read()
        reasons = reporting.reasons()
        left = [m for m, r in done if working.verdict(r).outcome in ("survived", "error") and m.key not in reasons]
        population, mutants = self.population(sorted({m.path for m in left})), {}
        for before in left:
            mutant = population.again(before)
            if mutant is None:
                log(f"no longer possible: {before}")
            else:
                mutants[mutant.item.job_id] = mutant
        results = [(m, r) for m, r in done if m not in left] + list(self.run(list(mutants.values())))
        with use_db(str(self.session), WorkDB.Mode.create) as database:
            database.clear()
            database.add_work_items([m.item for m, _ in results])
            for m, r in results:
                database.set_result(m.item.job_id, r)
        about = json.loads(self.about.read_text(encoding="utf-8"))
        about["runs"].append(self.this_run())
        self.about.write_text(json.dumps(about), encoding="utf-8")
        self.write()

    def line(self) -> None:
        """Print the mutants of one line and, without --show, run them."""
        path, line, *operator = self.options.mutant.split(":")
        items = [item for item in self.population([path]).items if item.mutations[0].start_pos[0] == int(line)]
        files = Population(self.trees[0].root)
        mutants = [mutant for mutant in map(files.mutant, items) if mutant is not None]
        mutants = [mutant for mutant in mutants if not operator or mutant.operator == operator[0]]
        for mutant in mutants:
            print(f"{mutant}\n")
        if not self.options.show:
            for _, result in self.run(mutants):
                print(f"{result.output}\n")

    def unchanged(self) -> None:
        """Run the tests of some mutants on the unchanged tree: all must pass."""
        mutants = self.population(self.options.only).sample(self.options.seed, self.options.unchanged)
        none = [MutationSpec(m.made.module_path, "core/NoOp", 0, m.made.start_pos, m.made.end_pos) for m in mutants]
        tasks = [replace(self.task(m), item=WorkItem.single(m.item.job_id, made)) for m, made in zip(mutants, none)]
        for item, result in working.run(tasks, self.trees, self.config):
            verdict, made = working.verdict(result), item.mutations[0]
            where = f"{made.module_path}:{made.start_pos[0]}"
            log(f"{where}: {verdict.outcome} {verdict.test}, {verdict.tests} tests, {verdict.seconds:.0f} s")
            if verdict.outcome != "survived":
                print(result.output)


def log(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def main() -> None:
    """Run the command that the options ask for."""
    options = command_line().parse_args()
    harness = Harness(options)
    if options.mutant:
        harness.line()
    elif options.survivors:
        harness.survivors()
    elif options.unchanged:
        harness.unchanged()
    else:
        harness.sample()


if __name__ == "__main__":
    main()
