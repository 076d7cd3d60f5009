"""Train LeNet on each backend, from the same weights on the same digits, and compare the losses.

    python -m tests.benchmarks.curves

The runs use the readable kernels, the compiled kernels, and the CUDA kernels, on a GPU if there is one, else emulated on
the processor.  Training amplifies rounding errors.  A fourth run shows how much: it uses the readable kernels, from
weights changed by one part in ten million.  Writes the differences of the losses to curves.txt, and a figure.
"""

from __future__ import annotations

import argparse
from datetime import date
from pathlib import Path

import numpy as np

from attacks import plots
from minidl import backend, models, optim, train
from minidl.backend import Backend, asarray
from minidl.data import load_digits
from minidl.errors import BackendError
from minidl.files import atomically
from minidl.kernels import cuda
from tests.support import strict

EMULATED = "cuda, emulated"


def losses(name: str, steps: int, batch: int, nudge: float = 0.0) -> list[float]:
    """The loss of each step.  nudge: the relative change of the first weights, with random signs."""
    with backend.use("numpy"):
        batches = list(load_digits()[0].take(steps * batch).batches(batch))
    with backend.use(name):
        net, optimizer, rng = models.lenet(seed=0), optim.SGD(lr=0.02, momentum=0.9), np.random.default_rng(0)
        for w in net.params.values():
            w *= asarray((1 + nudge * rng.choice([-1, 1], w.shape)).astype(np.float32))
        state, values = optimizer.init(net.params), []
        for x, y in batches:
            loss, _, grads = train.gradient(net, asarray(x), asarray(y))
            optimizer.update(net.params, grads, state)
            values.append(float(loss))
    return values


def cuda_backend() -> str:
    """The backend that can run the CUDA kernels on this machine."""
    try:
        with backend.use("cupy"):
            return "cupy"
    except BackendError:
        backend.BACKENDS[EMULATED] = lambda: Backend(EMULATED, strict, lambda: cuda)
        return EMULATED


def main() -> None:
    """Train, compare, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=62, help="steps of training (default: 62, an epoch)")
    parser.add_argument("--batch", type=int, default=128, help="digits in each step (default: 128)")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    sizes = arguments.steps, arguments.batch
    curves = {name: losses(name, *sizes) for name in ("numpy", "numba", cuda_backend())}
    curves["numpy, nudged"] = losses("numpy", *sizes, nudge=1e-7)
    plain = np.array(curves["numpy"])
    lines = [f"{date.today().isoformat()}   python -m tests.benchmarks.curves   NumPy {np.__version__}",
             f"LeNet, {arguments.steps} steps of {arguments.batch} digits, SGD .02 with momentum .9, float32, seed 0"]  # fmt: skip
    for name, curve in curves.items():
        difference = abs(np.array(curve) - plain)
        lines.append(f"{name:<16} last loss {curve[-1]:.6f}   from numpy's at most {difference.max():.1e}, "
                     f"in the first ten steps {difference[:10].max():.1e}")  # fmt: skip
    print("\n".join(lines))
    figure = plots.curves(list(range(1, arguments.steps + 1)), curves, title="Three sets of kernels, one curve",
                          x_label="step", y_label="loss", y_limits=None)  # fmt: skip
    for line, style in zip(figure.axes[0].lines, ("-", "--", ":", "-.")):
        line.set(linestyle=style, linewidth=2.5 if style == ":" else 1.5)
    with atomically(arguments.out / "curves.txt") as file:
        file.write(("\n".join(lines) + "\n").encode())
    with atomically(arguments.out / "curves.png") as file:
        figure.savefig(file, format="png")


if __name__ == "__main__":
    main()
