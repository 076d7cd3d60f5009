"""Notebooks out of the scripts in this folder: for students, with solutions, or run from the first cell to the last.

    python demos/notebooks/make.py                  # *.ipynb beside the scripts, their exercises to be solved
    python demos/notebooks/make.py --solutions      # solved
    python demos/notebooks/make.py --run            # solved, and with what their cells show; any error ends it

What stands between "### BEGIN SOLUTION" and "### END SOLUTION", as nbgrader has it, is left to the students.
Needs ``pip install -e ".[notebook]"``.
"""

from __future__ import annotations

import argparse
import re
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SOLUTION = re.compile(r"^( *)### BEGIN SOLUTION\n.*?### END SOLUTION$", re.DOTALL | re.MULTILINE)
MARK = re.compile(r"^ *### (BEGIN|END) SOLUTION\n?", re.MULTILINE)
LIMIT = 600  # seconds for a cell; on two free cores, none takes a tenth of it


def scripts() -> list[Path]:
    """The notebooks, as scripts, in the order in which to read them."""
    return sorted(HERE.glob("[0-9]_*.py"))


def blank(source: str) -> str:
    """Code with its solutions taken out."""
    return SOLUTION.sub(r"\1raise NotImplementedError  # yours to write", source)


def solved(source: str) -> str:
    """Code with its solutions, but not the marks around them."""
    return MARK.sub("", source)


def notebook(script: Path, solutions: bool) -> Any:
    """The notebook of a script, with its exercises solved or to be solved."""
    import jupytext

    made = jupytext.read(script)
    for cell in made.cells:
        if cell.cell_type == "code":
            cell.source = (solved if solutions else blank)(cell.source).rstrip()
    made.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return made


def run(made: Any) -> None:
    """Every cell in turn, in a kernel of its own; what they show is kept.  Raises at the first that fails."""
    from nbclient import NotebookClient

    NotebookClient(made, timeout=LIMIT, resources={"metadata": {"path": str(HERE)}}).execute()


def main() -> None:
    """Make them, and say where they are."""
    import jupytext

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--solutions", action="store_true", help="with the exercises solved")
    parser.add_argument("--run", action="store_true", help="run them, solved")
    parser.add_argument("--only", nargs="+", metavar="WORD", default=[""], help="those with one of these in their name")
    parser.add_argument("--out", type=Path, default=HERE, help="folder for the notebooks (default: beside the scripts)")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for script in scripts():
        if any(word in script.name for word in arguments.only):
            made, clock = notebook(script, arguments.solutions or arguments.run), time.perf_counter()
            if arguments.run:
                run(made)
            path = arguments.out / f"{script.stem}.ipynb"
            jupytext.write(made, path)
            print(f"wrote {path}" + f", run in {time.perf_counter() - clock:.0f} s" * arguments.run, flush=True)


if __name__ == "__main__":
    main()
