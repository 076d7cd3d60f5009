"""`substitute`: a network that learns to answer as an oracle does, from the oracle's labels alone.

Adversarial images of the substitute often fool the oracle, too.  The images that the oracle is asked about are made by
the substitute itself: along the gradient of the class that the oracle gave, where its own answer changes fastest.

Read `plain/substitute.py` first: the algorithm without budgets, reservoirs and files.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from minidl.backend import asarray, kernels, namespace
from minidl.core import Array
from minidl.data import Dataset
from minidl.errors import DataError, DTypeError, ShapeError
from minidl.files import check_writable
from minidl.history import check_same_run
from minidl.identity import digest, identity
from minidl.models import Sequential
from minidl.npz import read_archive, shapes_and_dtypes, write_archive
from minidl.optim import Adam, Optimizer
from minidl.progress import bar
from minidl.train import copied, fit, put_back

from ..common.checks import check_counts, check_number, check_seed
from ..common.run import stream
from ..common.victim import Victim
from .oracle import Oracle


def substitute(
    oracle: Oracle,
    seeds: Array,
    network: Sequential,
    rounds: int = 6,
    *,
    step: float = 0.1,
    period: int | None = None,
    doublings: int | None = None,
    reservoir: int = 400,
    epochs: int = 10,
    optimizer: Optimizer | None = None,
    batch_size: int = 128,
    warm_start: bool = True,
    seed: int = 0,
    checkpoint: str | Path | None = None,
    progress: bool = False,
) -> Substitute:
    """Train a network to answer as an oracle does, in rounds: ask, train, make new images with the network's Jacobian.

        S_{ρ+1} = S_ρ ∪ {x + λ_ρ·sign(J_x[Õ(x)]) : x ∈ S_ρ},   λ_ρ = λ·(-1)^⌊ρ/τ⌋

    Read `plain.substitute` first.

    oracle: an `Oracle`; all labels are its own.  Images are clipped to its bounds.
    seeds: S_0 (n, ...), floating point images, which need no labels; in the dtype of the network.
    network: a `Sequential` that returns logits, of which `params` are trained in place.
    rounds: how many times it is trained, at least 1.  New images are made after each but the last.
    step: λ, above 0: how far the new images are from those that they are made of, in each pixel.
    period: τ, at least 1: after so many rounds, λ changes its sign, and again.  None: never.
    doublings: σ, at least 0: how many times S is doubled.  From then on, new images are made of κ of its images only,
    chosen by `reservoir_sample`.  None: it is always doubled.
    reservoir: κ, at least 1; all images, if there are fewer.
    epochs: of each training, at least 1.
    optimizer: None is `Adam()`; it starts anew in each round.
    batch_size: of each training, at least 1.
    warm_start: whether the network goes on from its last parameters.  If not, it begins again in each round with those
    that it had at first.
    seed: a whole number, of which all draws are functions.
    checkpoint: a file, written in each round as soon as its images are labelled, and again when the network is trained.
    If it exists, the run continues from it, without asking the oracle again about the images in it, and ends with the
    same bits as one that was never interrupted.  More rounds than before may be asked for.  A checkpoint of another run
    is an error; but an oracle cannot be told from another one, so that each needs a file of its own.
    progress: whether to show a bar over the rounds.

    Returns: a `Substitute`.  It asks the oracle exactly once about each of ``sizes(n, rounds, …)[-1]`` images; only if
    Ctrl-C or an error comes while the oracle answers, that round's images are asked about again.  The network is then
    as it was after the last complete round.  Ctrl-C returns, with `interrupted` set.
    Raises: before any work, `BudgetError` if the oracle's budget is too small, `DTypeError`, `ShapeError` or
    `RangeError` for arguments that do not fit, and `DataError` for a checkpoint of something else.
    Source: Papernot et al. 2017, Algorithm 1; τ and reservoir sampling: Papernot, McDaniel and Goodfellow 2016.
    They differentiate probabilities; we differentiate the logit of the oracle's class, whose gradient does not vanish
    where the substitute is confident.  They do not say whether images are clipped, nor whether the substitute starts
    anew in each round.

    >>> import numpy as np
    >>> from attacks import Oracle, substitute
    >>> from minidl import models
    >>> oracle = Oracle(lambda x: (x[:, 0] > 0.5).astype(int), classes=2, budget=200)
    >>> x = np.random.default_rng(0).random((20, 4), dtype=np.float32)
    >>> learned = substitute(oracle, x, models.mlp((4,), 2, hidden=(16,), seed=0), rounds=4)
    >>> learned.queries, len(learned.points), learned.agreement[-1] > 0.7
    (160, 160, True)
    """
    recipe = _Recipe(step, period, doublings, reservoir, epochs, optimizer or Adam(), batch_size, warm_start, seed)
    recipe.check(oracle, network, seeds, rounds)
    run = _Rounds(oracle, network, recipe, seeds)
    if checkpoint is not None:
        check_writable("substitute", checkpoint)
        run.resume(checkpoint, rounds)
    oracle.check_budget("substitute", run.sizes(rounds)[-1] - len(run.done.labels))
    rounds_bar = bar(range(rounds), "Substitute", progress, unit="round", initial=len(run.done.agreement))
    try:
        with rounds_bar:
            while len(run.done.agreement) < rounds:
                for part in (run.labelled, run.trained):
                    run.done = part()
                    if checkpoint is not None:
                        run.write(checkpoint)
                rounds_bar.set_postfix(points=len(run.done.points), agreement=f"{run.done.agreement[-1]:.4f}")
                rounds_bar.update()
    except BaseException as stop:
        put_back(network.params, run.done.params)
        if not isinstance(stop, KeyboardInterrupt):
            raise
        return run.result(interrupted=True)
    put_back(network.params, run.done.params)
    return run.result(interrupted=False)


@dataclass(frozen=True, eq=False)
class Substitute:
    """What `substitute` returns.

    network: the network, trained.
    points: S, all images of which the oracle has given the label (P, ...).
    labels: its answers (P,).
    agreement: after each round, the share of S_ρ on which the network answers as the oracle.
    sizes: of S, in each complete round.
    interrupted: whether Ctrl-C ended it early.

    >>> import numpy as np
    >>> from attacks import Oracle, substitute
    >>> from minidl import models
    >>> oracle = Oracle(lambda x: (x[:, 0] > 0.5).astype(int), classes=2)
    >>> x = np.random.default_rng(0).random((20, 4), dtype=np.float32)
    >>> substitute(oracle, x, models.mlp((4,), 2, hidden=(16,)), rounds=2).sizes
    [20, 40]
    """

    network: Sequential
    points: Array
    labels: Array
    agreement: list[float]
    sizes: list[int]
    interrupted: bool

    @property
    def queries(self) -> int:
        """How many images the oracle has labelled, in this run and in those that it continues."""
        return len(self.points)

    def __repr__(self) -> str:
        last = f", agreement {self.agreement[-1]:.4f}" if self.agreement else ""
        return f"Substitute({len(self.agreement)} rounds, {self.queries} queries{last})"


def sizes(seeds: int, rounds: int, doublings: int | None = None, reservoir: int = 400) -> list[int]:
    """How many images S has in each round: n·2^ρ until σ, and then κ more in each.  Each of them is one query.

    seeds: n.
    rounds, doublings, reservoir: as of `substitute`.

    Papernot et al. count one set more, which is made after the last training: for n = 100 and six rounds, 6,400.

    >>> from attacks.black_box.substitute import sizes
    >>> sizes(150, 6), sizes(100, 10, doublings=3, reservoir=400)[-1]
    ([150, 300, 600, 1200, 2400, 4800], 3200)
    """
    counts = [seeds]
    for made in range(1, rounds):
        doubled = doublings is None or made <= doublings
        counts.append(counts[-1] + (counts[-1] if doubled else min(reservoir, counts[-1])))
    return counts


def reservoir_sample(count: int, size: int, key: int) -> np.ndarray:
    """Which `size` of `count` items to keep, each equally likely: int64, in one pass (Vitter 1985, Algorithm R).

    The first ones fill the reservoir.  Item i then replaces a random one in it with probability size/(i + 1).

    count: of items, at least 0.
    size: at least 0; all items, if there are fewer.
    key: of the stream of draws.

    >>> from attacks.black_box.substitute import reservoir_sample
    >>> len(set(reservoir_sample(1000, 400, key=7).tolist()))
    400
    """
    kept = np.arange(min(size, count))
    draws = kernels(kept).random_uniform(key, np.zeros(count))
    for item in range(len(kept), count):
        place = int(draws[item] * (item + 1))
        if place < size:
            kept[place] = item
    return kept


def augment(network: Any, x: Array, labels: Array, step: float, bounds: tuple[float, float]) -> Array:
    """x + λ·sign(J_x[Õ(x)]), clipped, like x (N, ...): one row of the Jacobian of each image, that of its label.

    network: a network, or a function built of minidl operations, from inputs to logits (N, K).
    x: images (N, ...).
    labels: Õ(x) (N,), of the oracle.
    step: λ.
    bounds: the least and the greatest value of a pixel.

    >>> import numpy as np
    >>> from attacks.black_box.substitute import augment
    >>> w = np.array([[1.0, -1.0], [0.5, 2.0]])
    >>> augment(lambda x: x @ w, np.array([[0.5, 0.5]]), np.array([1]), 0.1, (0, 1))
    array([[0.4, 0.6]])
    """
    xp, victim, rows = namespace(x), Victim(network, bounds), []
    for part in victim.parts(x):
        lin = victim.linearize(x[part])
        onehot = (xp.arange(lin.value.shape[1]) == labels[part][:, None]).astype(lin.value.dtype)
        rows.append(lin.vjp(onehot))
    return xp.clip(x + step * xp.sign(xp.concatenate(rows)), *bounds).astype(x.dtype)


# --- the rounds ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Recipe:
    """The parameters of `substitute` that distinguish two runs, under the same names."""

    step: float
    period: int | None
    doublings: int | None
    reservoir: int
    epochs: int
    optimizer: Optimizer
    batch_size: int
    warm_start: bool
    seed: int

    def check(self, oracle: Any, network: Any, seeds: Any, rounds: Any) -> None:
        """Raise an error for parameters that do not fit, before any work."""
        if not isinstance(oracle, Oracle):
            fix = "Oracle(lambda x: net(x).argmax(axis=1))"
            raise DTypeError("substitute", "an Oracle", type(oracle).__name__, fix)
        if not isinstance(network, Sequential):
            raise DTypeError("substitute", "a network to train", type(network).__name__, "models.mlp()")
        if not isinstance(self.optimizer, Optimizer):
            raise DTypeError("substitute", "an optimizer", type(self.optimizer).__name__, "optimizer=Adam()")
        check_number("substitute", "a step above 0", self.step, but=0)
        check_counts("substitute", rounds=rounds, reservoir=self.reservoir, epochs=self.epochs,
                     batch_size=self.batch_size, period=1 if self.period is None else self.period)  # fmt: skip
        check_counts("substitute", least=0, doublings=0 if self.doublings is None else self.doublings)
        check_seed("substitute", self.seed)
        oracle.check_images("substitute", seeds)
        network.check_input(seeds)
        if str(seeds.dtype) != network.dtype:
            raise DTypeError("substitute", f"seeds in the network's {network.dtype}", str(seeds.dtype),
                             f"seeds.astype({network.dtype!r})")  # fmt: skip
        if not len(seeds):
            raise ShapeError("substitute", "at least one seed", "none")
        if network.output_shape != (oracle.classes,):
            got = f"outputs of shape {network.output_shape}"
            raise ShapeError("substitute", f"a network of {oracle.classes} logits, one for each class", got)

    def step_after(self, made: int) -> float:
        """λ_ρ of the images that are made after round ρ, from 0 on."""
        return self.step * (-1.0 if self.period is not None and made // self.period % 2 else 1.0)


@dataclass(frozen=True)
class _Done:
    """What is complete, and all that comes next depends on: `points` may be a round ahead of `agreement`."""

    points: Array
    labels: Array
    params: dict[str, Array]
    agreement: list[float] = field(default_factory=list)


class _Rounds:
    """A run of `substitute` between two rounds."""

    def __init__(self, oracle: Oracle, network: Sequential, recipe: _Recipe, seeds: Array) -> None:
        self.oracle, self.network, self.recipe, self.seeds = oracle, network, recipe, seeds
        self.first = copied(network.params)
        self.done = _Done(seeds[:0], namespace(seeds).zeros(0, dtype="int64"), self.first)

    def sizes(self, rounds: int) -> list[int]:
        """How many images S has in each of so many rounds, at least one."""
        return sizes(len(self.seeds), rounds, self.recipe.doublings, self.recipe.reservoir)

    def labelled(self) -> _Done:
        """What is done, and the next round's images with their labels, unless it has them already."""
        done, xp, number = self.done, namespace(self.seeds), len(self.done.agreement)
        if len(done.points) == self.sizes(number + 1)[-1]:
            return done
        put_back(self.network.params, done.params)
        new = self._made(number) if number else self.seeds
        labels = xp.concatenate([done.labels, self.oracle.predict(new)])
        return replace(done, points=xp.concatenate([done.points, new]), labels=labels)

    def trained(self) -> _Done:
        """What is done after a training on all images."""
        done, recipe, number = self.done, self.recipe, len(self.done.agreement)
        put_back(self.network.params, done.params if recipe.warm_start else self.first)
        history = fit(self.network, Dataset(done.points, done.labels), epochs=recipe.epochs,
                      optimizer=recipe.optimizer, batch_size=recipe.batch_size,
                      seed=stream(recipe.seed, 1, number), progress=False)  # fmt: skip
        if history.interrupted:
            raise KeyboardInterrupt
        agreement = float((Victim(self.network, self.oracle.bounds).predict(done.points) == done.labels).mean())
        return replace(done, params=copied(self.network.params), agreement=[*done.agreement, agreement])

    def _made(self, number: int) -> Array:
        """The images that are new in a round, of the network as the last one left it."""
        done, recipe = self.done, self.recipe
        chosen: Any = slice(None)
        if recipe.doublings is not None and number > recipe.doublings:
            chosen = reservoir_sample(len(done.points), recipe.reservoir, stream(recipe.seed, 2, number))
            chosen = namespace(done.points).asarray(chosen)
        step = recipe.step_after(number - 1)
        return augment(self.network, done.points[chosen], done.labels[chosen], step, self.oracle.bounds)

    def result(self, interrupted: bool) -> Substitute:
        done, count = self.done, len(self.done.agreement)
        lengths = self.sizes(count) if count else []
        return Substitute(self.network, done.points, done.labels, done.agreement, lengths, interrupted)

    # --- on disk -----------------------------------------------------------------------------------------

    def _settings(self) -> dict[str, Any]:
        recipe = {name: identity("substitute", value) for name, value in vars(self.recipe).items()}
        return {**recipe, "network": identity("substitute", self.network), "seeds": digest(self.seeds),
                "bounds": list(self.oracle.bounds), "classes": self.oracle.classes}  # fmt: skip

    def write(self, path: str | Path) -> None:
        """A checkpoint of what is complete."""
        arrays = {"points": self.done.points, "labels": self.done.labels}
        kinds = {"params": self.done.params, "first": self.first}
        arrays |= {f"{kind}/{name}": w for kind, params in kinds.items() for name, w in params.items()}
        write_archive(path, "substitute", {"settings": self._settings(), "agreement": self.done.agreement}, arrays)

    def resume(self, path: str | Path, rounds: int) -> None:
        """What is complete in a checkpoint of this run, if there is one; `DataError` for one of something else.

        The network may have the parameters that it had at first, or those that the checkpoint has.
        """
        if not Path(path).exists():
            return
        header, arrays = read_archive(path, "substitute")
        check_same_run("substitute", path, header.get("settings"), self._settings())
        agreement: list[Any] = saved if isinstance(saved := header.get("agreement"), list) else [None]
        params, first = ({name: arrays.get(f"{kind}/{name}") for name in self.first} for kind in ("params", "first"))
        count, length = len(agreement), len(arrays.get("points", ()))
        expected = {"points": ((length, *self.seeds.shape[1:]), str(self.seeds.dtype)), "labels": ((length,), "int64")}
        expected |= {f"{kind}/{name}": shape for kind in ("params", "first")
                     for name, shape in shapes_and_dtypes(self.first).items()}  # fmt: skip
        numbers = all(isinstance(a, float) for a in agreement)
        may_be = self.sizes(count + 1)[-2:] if count else self.sizes(1)  # labelled and trained, or only labelled
        if shapes_and_dtypes(arrays) != expected or length not in may_be or not numbers:
            raise DataError("substitute", f"{path} to hold the images and parameters of this run", "others")
        if digest(*self.first.values()) not in (digest(*first.values()), digest(*params.values())):
            fix = "delete the file, or give this run another"
            raise DataError("substitute", f"{path} to be of a network with these parameters", "others", fix)
        if count > rounds:
            fix = "ask for at least as many, or give this run another file"
            raise DataError("substitute", f"{path} to be of at most {rounds} rounds", f"{count}", fix)
        self.first = {name: asarray(w) for name, w in first.items()}
        known = {name: asarray(w) for name, w in params.items()}
        self.done = _Done(asarray(arrays["points"]), asarray(arrays["labels"]), known, agreement)
