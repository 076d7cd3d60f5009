"""Make notebooks from the scripts in this folder: with exercises, with solutions, or with solutions and outputs.

    python demos/notebooks/make.py                  # *.ipynb beside the scripts, with exercises
    python demos/notebooks/make.py --solutions      # with solutions
    python demos/notebooks/make.py --run            # with solutions, and run; raises at the first error

The lines from "### BEGIN SOLUTION" to "### END SOLUTION" (nbgrader's marks) are left out for students.
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
LIMIT = 600  # seconds for each cell; on two free cores each takes less than a tenth of it


def scripts() -> list[Path]:
    """The scripts of the notebooks, in the order in which to read them."""
    return sorted(HERE.glob("[0-9]_*.py"))


def blank(source: str) -> str:
    """Code without its solutions."""
    return SOLUTION.sub(r"\1raise NotImplementedError  # write this", source)


def solved(source: str) -> str:
    """Code with its solutions, without the marks around them."""
    return MARK.sub("", source)


def notebook(script: Path, solutions: bool) -> Any:
    """The notebook of a script, with or without solutions."""
    import jupytext

    result = jupytext.read(script)
    for cell in result.cells:
        if cell.cell_type == "code":
            cell.source = (solved if solutions else blank)(cell.source).rstrip()
    result.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return result


def run(notebook: Any) -> None:
    """Run all cells in a new kernel and store their outputs in the notebook; raises at the first error."""
    from nbclient import NotebookClient

    NotebookClient(notebook, timeout=LIMIT, resources={"metadata": {"path": str(HERE)}}).execute()


def main() -> None:
    """Make the notebooks and print their paths."""
    import jupytext

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--solutions", action="store_true", help="with solutions")
    parser.add_argument("--run", action="store_true", help="with solutions, and run")
    parser.add_argument(
        "--only", nargs="+", metavar="WORD", default=[""], help="only notebooks with one of these words in their names"
    )
    parser.add_argument("--out", type=Path, default=HERE, help="folder for the notebooks (default: beside the scripts)")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for script in scripts():
        if any(word in script.name for word in arguments.only):
            result, start = notebook(script, arguments.solutions or arguments.run), time.perf_counter()
            if arguments.run:
                run(result)
            path = arguments.out / f"{script.stem}.ipynb"
            jupytext.write(result, path)
            print(f"wrote {path}" + f", run in {time.perf_counter() - start:.0f} s" * arguments.run, flush=True)


if __name__ == "__main__":
    main()
