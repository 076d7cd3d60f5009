"""How the tests run: a process for each core, in each one thread of BLAS, and laws over a fixed set of examples.

``--hypothesis-profile fresh`` draws new examples, and ``-m slow`` runs what takes long.  One file or one test alone runs
in this process, so that it can print, and be looked into with ``--pdb``.
"""

import os
import signal
from typing import Any

# Before NumPy is imported: processes that share the cores already gain nothing from threads, and wait for each other.
for _name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"):
    os.environ.setdefault(_name, "1")

# A script in the background has its processes ignore Ctrl-C, which some of the tests press.
signal.signal(signal.SIGINT, signal.default_int_handler)

from minidl.testing import load_profile  # noqa: E402

load_profile("fresh", max_examples=300, print_blob=True)
load_profile("fixed", derandomize=True, max_examples=25, database=None)


def pytest_xdist_auto_num_workers(config: Any) -> int | None:
    """None, which leaves it to xdist, for folders; no process more for files and single tests."""
    return 0 if any(".py" in argument for argument in config.args) else None
