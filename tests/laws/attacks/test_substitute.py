"""Laws of substitutes: the images that are made, the queries, the reservoir, and files that continue a run."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import attacks.black_box.substitute
from attacks import BudgetError, Oracle, plain, substitute
from attacks.black_box.substitute import _Recipe, augment, reservoir_sample, sizes
from minidl import Dataset, batch_jacobian, fit, models, ops
from minidl.errors import DataError, DTypeError, MinidlError, RangeError, ShapeError
from minidl.npz import read_archive, write_archive
from minidl.optim import SGD, Adam
from minidl.testing import Mutant, line
from tests.laws.attacks.test_every_attack import images, network

seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=8)


def net(seed: int = 0, **options) -> models.Sequential:
    return models.mlp((4,), 3, hidden=(6,), bias=True, seed=seed, **options)


class Asked:
    """Labels of images of four pixels by a rule; every image that it was asked about is kept."""

    def __init__(self) -> None:
        self.seen: list[np.ndarray] = []

    def __call__(self, x):
        self.seen.append(x.copy())
        return (3 * x.mean(axis=1)).astype(int).clip(0, 2)

    @property
    def count(self) -> int:
        return sum(map(len, self.seen))


def oracle(asked=None, **options) -> Oracle:
    return Oracle(asked or Asked(), classes=3, **options)


def start(seed: int = 0, count: int = 6) -> np.ndarray:
    return np.random.default_rng(seed).random((count, 4), dtype=np.float32)


OPTIONS = {"epochs": 2, "batch_size": 4}


# --- the images ----------------------------------------------------------------------------------------------


@given(seed=seeds, step=st.floats(0.01, 0.5))
def test_new_images_follow_a_row_of_the_jacobian(seed, step) -> None:
    """x + λ·sign(J_x[Õ(x)]), clipped, with the explicit Jacobian; a batch is each image alone."""
    f, (x, _) = network(seed % 50, "float64"), images(seed, dtype=np.float64)
    labels = np.random.default_rng(seed).integers(0, 5, 7)
    rows = batch_jacobian(f, x)[np.arange(7), labels]
    made = augment(f, x, labels, step, (0, 1))
    np.testing.assert_allclose(made, (x + step * np.sign(rows)).clip(0, 1), atol=1e-12)
    np.testing.assert_array_equal(augment(f, x[:2], labels[:2], step, (0, 1)), made[:2])
    wide = augment(f, x, labels, step, (-9, 9))
    np.testing.assert_allclose(abs(wide - x), step)


@given(seeds_=st.integers(1, 300), rounds=st.integers(1, 8), doublings=st.integers(0, 8), reservoir=st.integers(1, 500))
def test_sizes_are_the_papers(seeds_, rounds, doublings, reservoir) -> None:
    """n·2^σ + κ·(ρ - σ) after ρ augmentations, as long as there are κ images to choose from."""
    counts = sizes(seeds_, rounds, doublings, reservoir)
    made = rounds - 1
    if reservoir <= seeds_:
        assert counts[-1] == seeds_ * 2 ** min(made, doublings) + reservoir * max(made - doublings, 0)
    assert sizes(seeds_, rounds)[-1] == seeds_ * 2**made
    assert len(counts) == rounds
    assert all(b - a <= a for a, b in pairwise(counts))


def test_the_papers_own_counts() -> None:
    assert sizes(100, 7)[-1] == 6400
    assert sizes(100, 10)[-1] == 51_200
    assert sizes(100, 10, 3, 400)[-1] == 3200
    assert sizes(100, 2, 0, 400) == [100, 200]  # of fewer than κ, all are taken


@few
@given(seed=seeds, rounds=st.integers(1, 5), doublings=st.none() | st.integers(0, 3), reservoir=st.integers(1, 9))
def test_every_image_is_asked_about_once(seed, rounds, doublings, reservoir) -> None:
    asked = Asked()
    expected = sizes(6, rounds, doublings, reservoir)
    learned = substitute(oracle(asked), start(seed), net(), rounds, doublings=doublings,
                         reservoir=reservoir, seed=seed, **OPTIONS)  # fmt: skip
    assert asked.count == learned.queries == len(learned.points) == len(learned.labels) == expected[-1]
    assert learned.sizes == expected
    np.testing.assert_array_equal(np.concatenate(asked.seen), learned.points)
    np.testing.assert_array_equal(learned.labels, Asked()(learned.points))
    np.testing.assert_array_equal(learned.points[:6], start(seed))
    assert (learned.points.min(), learned.points.max()) >= (0, 0)
    assert learned.points.max() <= 1
    assert len(learned.agreement) == rounds
    predicted = learned.network(learned.points).argmax(axis=1)
    assert abs((predicted == learned.labels).mean() - learned.agreement[-1]) < 1e-12
    assert not learned.interrupted


def test_labels_are_the_oracles_alone() -> None:
    """An oracle with one answer for everything is learned as it is."""
    for k in range(3):
        learned = substitute(Oracle(lambda x, k=k: np.full(len(x), k), classes=3), start(), net(), 4, epochs=40)
        assert (learned.labels == k).all()
        assert learned.agreement[-1] == 1
        assert (learned.network(start(9)).argmax(axis=1) == k).all()


def test_the_step_changes_its_sign_after_each_period() -> None:
    recipe = lambda period: _Recipe(0.1, period, None, 400, 1, Adam(), 1, True, 0)
    assert [recipe(None).step_after(made) for made in range(5)] == [0.1] * 5
    assert [recipe(1).step_after(made) for made in range(4)] == [0.1, -0.1, 0.1, -0.1]
    assert [recipe(3).step_after(made) for made in range(8)] == [0.1] * 3 + [-0.1] * 3 + [0.1] * 2


def test_it_is_the_plain_one() -> None:
    """The first round that makes images: the same network, and images of the same signs."""
    x, asked = start(), Asked()
    fast = substitute(oracle(), x, net(), 2, epochs=1)
    one_round = substitute(oracle(), x, net(), 1, epochs=1).network
    rows = batch_jacobian(one_round, x)[np.arange(6), asked(x)]
    np.testing.assert_allclose(fast.points[6:], (x + np.float32(0.1) * np.sign(rows)).clip(0, 1), atol=1e-6)
    S = plain.substitute(asked, x, net(), rho_max=3)[1]
    assert len(S) == substitute(oracle(), x, net(), 3).queries == 24
    np.testing.assert_array_equal(S[:6], x)
    assert ((S >= 0) & (S <= 1)).all()
    assert asked.count == 6 + 24  # of the plain one each image once, too


# --- the reservoir -------------------------------------------------------------------------------------------


@given(key=seeds, count=st.integers(0, 40), size=st.integers(0, 50))
def test_a_reservoir_holds_different_items(key, count, size) -> None:
    kept = reservoir_sample(count, size, key)
    assert len(kept) == len(set(kept.tolist())) == min(size, count)
    assert not len(kept) or 0 <= kept.min() <= kept.max() < count
    np.testing.assert_array_equal(kept, reservoir_sample(count, size, key))


@pytest.mark.parametrize(("count", "size"), [(10, 3), (20, 5), (7, 6)])
def test_every_item_is_kept_equally_often(count, size) -> None:
    """χ² of 4,000 samples: with count - 1 degrees of freedom, below its 99.9 % quantile (Wilson and Hilferty 1931)."""
    samples = np.stack([reservoir_sample(count, size, key) for key in range(4000)])
    kept = np.bincount(samples.ravel(), minlength=count)
    share = size / count
    expected, degrees = 4000 * share, count - 1
    # Items of one sample exclude each other, so that the variance of a count is 4000·p·(1 - p).
    chi_squared = ((kept - expected) ** 2 / (expected * (1 - share))).sum() * (count - 1) / count
    quantile = degrees * (1 - 2 / (9 * degrees) + 3.09 * (2 / (9 * degrees)) ** 0.5) ** 3
    assert chi_squared < quantile
    together = np.zeros((count, count), bool)  # any two items are sometimes kept together
    for sample in samples:
        together[np.ix_(sample, sample)] = True
    assert together.all()


def test_the_reservoir_chooses_among_all_images() -> None:
    """Later rounds make images of κ of them, each at λ from one of the earlier ones."""
    asked = Asked()
    learned = substitute(oracle(asked), start(count=8), net(), 5, doublings=1, reservoir=3, step=0.01, **OPTIONS)
    assert learned.sizes == [8, 16, 19, 22, 25]
    for first, last in ((16, 19), (19, 22), (22, 25)):
        new, old = learned.points[first:last], learned.points[:first]
        nearest = abs(new[:, None] - old).max(axis=2).min(axis=1)
        assert (nearest <= 0.01 + 1e-6).all()


# --- starting anew, interrupts, files ------------------------------------------------------------------------


def test_a_cold_start_begins_each_round_with_the_first_parameters() -> None:
    x = start()
    cold = substitute(oracle(), x, net(), 3, warm_start=False, seed=5, **OPTIONS)
    again = net()
    fit(again, Dataset(cold.points, cold.labels), epochs=2, batch_size=4, optimizer=Adam(), progress=False,
        seed=attacks.black_box.substitute.stream(5, 1, 2))  # fmt: skip
    for name, w in again.params.items():
        np.testing.assert_array_equal(w, cold.network.params[name])
    warm = substitute(oracle(), x, net(), 3, seed=5, **OPTIONS)
    assert not np.array_equal(warm.network.params["dense1.W"], cold.network.params["dense1.W"])


@few
@given(seed=seeds)
def test_same_seed_same_bits(seed) -> None:
    first, again, other = (
        substitute(oracle(), start(seed), net(), 3, seed=s, **OPTIONS) for s in (seed, seed, seed + 1)
    )
    np.testing.assert_array_equal(first.points, again.points)
    for name, w in first.network.params.items():
        np.testing.assert_array_equal(w, again.network.params[name])
    assert not np.array_equal(first.network.params["dense1.W"], other.network.params["dense1.W"])


@pytest.mark.parametrize("warm_start", [True, False])
def test_a_run_continues_from_its_file_with_the_same_bits(tmp_path, warm_start) -> None:
    options = {"warm_start": warm_start, "doublings": 2, "reservoir": 5, "seed": 3, **OPTIONS}
    whole = substitute(oracle(), start(), net(), 5, **options)
    path, asked = tmp_path / "substitute.npz", Asked()
    substitute(oracle(asked), start(), net(), 3, checkpoint=path, **options)
    before = asked.count
    continued = substitute(oracle(asked), start(), net(), 5, checkpoint=path, **options)
    np.testing.assert_array_equal(continued.points, whole.points)
    assert continued.agreement == whole.agreement
    assert asked.count == before + (whole.queries - sizes(6, 3, 2, 5)[-1]) == whole.queries  # nothing is asked twice
    trained = continued.network
    for name, w in whole.network.params.items():
        np.testing.assert_array_equal(w, trained.params[name])
    finished = substitute(oracle(asked), start(), trained, 5, checkpoint=path, **options)  # with its own parameters
    np.testing.assert_array_equal(finished.points, whole.points)
    assert asked.count == whole.queries


@pytest.mark.parametrize("call", range(4))
def test_ctrl_c_keeps_the_last_complete_round(tmp_path, call) -> None:
    """Pressed while the oracle works, in each round; then the run continues, to the same bits."""
    path, whole = tmp_path / "substitute.npz", substitute(oracle(), start(), net(), 4, **OPTIONS)

    class Tired(Asked):
        def __call__(self, x):
            if len(self.seen) == call:
                raise KeyboardInterrupt
            return super().__call__(x)

    network_ = net()
    learned = substitute(oracle(Tired()), start(), network_, 4, checkpoint=path, **OPTIONS)
    assert learned.interrupted
    assert len(learned.agreement) == call == len(learned.sizes)
    assert learned.queries == (sizes(6, call)[-1] if call else 0)
    reached = substitute(oracle(), start(), net(), call, **OPTIONS).network if call else net()
    for name, w in reached.params.items():
        np.testing.assert_array_equal(w, network_.params[name])
    again = substitute(oracle(), start(), net(), 4, checkpoint=path, **OPTIONS)
    for name, w in whole.network.params.items():
        np.testing.assert_array_equal(w, again.network.params[name])


def test_ctrl_c_while_it_is_trained_keeps_the_last_complete_round(monkeypatch, tmp_path) -> None:
    real, calls = attacks.black_box.substitute.fit, []

    def tired(network, *arguments, **options):
        calls.append(1)
        history = real(network, *arguments, **options)
        if len(calls) == 3:
            history.interrupted = True
        return history

    monkeypatch.setattr(attacks.black_box.substitute, "fit", tired)
    path, asked = tmp_path / "substitute.npz", Asked()
    learned = substitute(oracle(asked, budget=96), start(), net(), 5, checkpoint=path, **OPTIONS)
    assert learned.interrupted
    assert learned.sizes == [6, 12]
    assert learned.queries == asked.count == 24  # the third round's labels are there
    expected = substitute(oracle(), start(), net(), 2, **OPTIONS).network
    for name, w in expected.params.items():
        np.testing.assert_array_equal(w, learned.network.params[name])
    monkeypatch.setattr(attacks.black_box.substitute, "fit", real)
    again = substitute(oracle(asked), start(), net(), 5, checkpoint=path, **OPTIONS)
    assert asked.count == again.queries == 96  # and are not asked for again
    whole = substitute(oracle(), start(), net(), 5, **OPTIONS)
    for name, w in whole.network.params.items():
        np.testing.assert_array_equal(w, again.network.params[name])


def test_a_broken_oracle_leaves_the_network_as_it_was_after_the_last_round(tmp_path) -> None:
    class Broken(Asked):
        def __call__(self, x):
            if len(self.seen) == 2:
                raise ConnectionError("gone")
            return super().__call__(x)

    network_ = net()
    with pytest.raises(ConnectionError):
        substitute(oracle(Broken()), start(), network_, 4, **OPTIONS)
    expected = substitute(oracle(), start(), net(), 2, **OPTIONS).network
    for name, w in expected.params.items():
        np.testing.assert_array_equal(w, network_.params[name])


OTHER_RUNS = {
    "step": {"step": 0.2}, "period": {"period": 2}, "doublings": {"doublings": 1}, "reservoir": {"reservoir": 4},
    "epochs": {"epochs": 3}, "optimizer": {"optimizer": SGD(lr=0.1)}, "batch_size": {"batch_size": 3},
    "warm_start": {"warm_start": False}, "seed": {"seed": 1},
}  # fmt: skip


@pytest.mark.parametrize("name", OTHER_RUNS)
def test_the_file_of_another_run_raises_an_error(tmp_path, name) -> None:
    path, asked = tmp_path / "substitute.npz", Asked()
    substitute(oracle(), start(), net(), 2, checkpoint=path, **OPTIONS)
    with pytest.raises(DataError, match=rf"checkpoint of this run.*\['{name}'\]"):
        substitute(oracle(asked), start(), net(), 3, checkpoint=path, **{**OPTIONS, **OTHER_RUNS[name]})
    assert not asked.seen


def test_files_that_do_not_fit_raise_an_error(tmp_path) -> None:
    path, asked = tmp_path / "substitute.npz", Asked()
    substitute(oracle(), start(), net(), 3, checkpoint=path, **OPTIONS)
    run = lambda **changed: substitute(**{"oracle": oracle(asked), "seeds": start(), "network": net(), "rounds": 3,
                                          "checkpoint": path, **OPTIONS, **changed})  # fmt: skip
    for changed, message in (
        ({"seeds": start(1)}, "seeds"),
        ({"network": models.mlp((4,), 3, hidden=(7,), bias=True)}, "network"),
        ({"network": net(1)}, "a network with these parameters"),
        ({"rounds": 2}, "at most 2 rounds, got 3"),
        ({"oracle": oracle(asked, bounds=(-1, 2))}, "bounds"),
    ):
        with pytest.raises(DataError, match=message):
            run(**changed)
    header, arrays = read_archive(path, "substitute")
    header = {"settings": header["settings"], "agreement": header["agreement"]}
    for name, wrong in (("points", arrays["points"][:5]), ("labels", arrays["labels"].astype(np.int32)),
                        ("params/dense1.W", arrays["params/dense1.W"][:3])):  # fmt: skip
        write_archive(path, "substitute", header, {**arrays, name: wrong})
        with pytest.raises(DataError, match="images and parameters of this run"):
            run()
    for agreement in ([], "none", [0.5], None, [0.1, "x", 0.2]):
        write_archive(path, "substitute", {**header, "agreement": agreement}, arrays)
        with pytest.raises(DataError, match="images and parameters of this run"):
            run()
    path.write_bytes(b"PK\x03\x04 and then nothing")
    with pytest.raises(DataError, match="damaged or foreign"):
        run()
    assert not asked.seen


# --- arguments -----------------------------------------------------------------------------------------------


def test_a_budget_that_is_too_small_raises_before_any_work(tmp_path) -> None:
    asked = Asked()
    with pytest.raises(BudgetError, match="substitute.*24 queries.*23 left of 23"):
        substitute(oracle(asked, budget=23), start(), net(), 3, **OPTIONS)
    assert not asked.seen
    path = tmp_path / "substitute.npz"
    substitute(oracle(), start(), net(), 2, checkpoint=path, **OPTIONS)
    try:  # a budget for the new images alone is enough
        learned = substitute(oracle(asked, budget=12), start(), net(), 3, checkpoint=path, **OPTIONS)
    except BudgetError as error:
        raise AssertionError("a budget for 12 queries is enough") from error
    assert (learned.queries, asked.count) == (24, 12)


BAD = {
    "a function": ({"oracle": Asked()}, DTypeError, "an Oracle.*Oracle\\("),
    "no network": ({"network": lambda x: ops.exp(x)}, DTypeError, "a network to train"),
    "classes": ({"network": models.mlp((4,), 5, hidden=(6,))}, ShapeError, "3 logits"),
    "optimizer": ({"optimizer": 0.1}, DTypeError, "an optimizer"),
    "no step": ({"step": 0}, RangeError, "a step above 0"),
    "rounds": ({"rounds": 0}, RangeError, "rounds, at least 1"),
    "half a round": ({"rounds": 1.5}, RangeError, "rounds, at least 1"),
    "period": ({"period": 0}, RangeError, "period, at least 1"),
    "doublings": ({"doublings": -1}, RangeError, "doublings, at least 0"),
    "reservoir": ({"reservoir": 0}, RangeError, "reservoir, at least 1"),
    "epochs": ({"epochs": 0}, RangeError, "epochs, at least 1"),
    "batch": ({"batch_size": 0}, RangeError, "batch_size, at least 1"),
    "seed": ({"seed": -1}, RangeError, "seed"),
    "bytes": ({"seeds": np.zeros((3, 4), np.uint8)}, DTypeError, "floating-point"),
    "wide": ({"seeds": np.zeros((3, 4))}, DTypeError, "float32.*float64.*astype"),
    "beyond": ({"seeds": np.full((3, 4), 2, np.float32)}, RangeError, r"pixels in \[0, 1\]"),
    "other pixels": ({"seeds": np.zeros((3, 5), np.float32)}, ShapeError, r"\(N, 4\)"),
    "none": ({"seeds": np.zeros((0, 4), np.float32)}, ShapeError, "at least one seed"),
}


@pytest.mark.parametrize("name", BAD)
def test_arguments_that_do_not_fit_raise_before_any_work(name) -> None:
    (changed, error, message), asked, network_ = BAD[name], Asked(), net()
    with pytest.raises(error, match=message) as caught:
        substitute(**{"oracle": oracle(asked), "seeds": start(), "network": network_, "rounds": 2, **changed})
    assert isinstance(caught.value, MinidlError)
    assert not asked.seen
    np.testing.assert_array_equal(network_.params["dense1.W"], net().params["dense1.W"])


#: Wrong on purpose, each beside the law of this file that must catch it: see `test_mutants`.
# fmt: off
MODULE = attacks.black_box.substitute
ROUNDS = MODULE._Rounds
MUTANTS = [
    Mutant("substitute: steps against the Jacobian", line(MODULE, "augment", "x + step", "x - step"), test_new_images_follow_a_row_of_the_jacobian),
    Mutant("substitute: the whole Jacobian, not a row", line(MODULE, "augment", "lin.vjp(onehot)", "lin.vjp(onehot * 0 + 1)"), test_new_images_follow_a_row_of_the_jacobian),
    Mutant("substitute: never clipped", line(MODULE, "augment", "xp.clip(x + step * xp.sign(xp.concatenate(rows)), *bounds)", "(x + step * xp.sign(xp.concatenate(rows)))"), test_new_images_follow_a_row_of_the_jacobian),
    Mutant("substitute: the gradient, not its sign", line(MODULE, "augment", "xp.sign(xp.concatenate(rows))", "xp.concatenate(rows)"), test_new_images_follow_a_row_of_the_jacobian),
    Mutant("substitute: one doubling too many", line(MODULE, "sizes", "made <= doublings", "made <= doublings + 1"), test_the_papers_own_counts),
    Mutant("substitute: a reservoir larger than S", line(MODULE, "sizes", "min(reservoir, counts[-1])", "reservoir"), test_the_papers_own_counts),
    Mutant("substitute: old images are asked about again", line(ROUNDS, "labelled", "self.oracle.predict(new)", "self.oracle.predict(xp.concatenate([done.points, new]))[len(done.points):]"), test_every_image_is_asked_about_once),
    Mutant("substitute: its own labels", line(ROUNDS, "labelled", "self.oracle.predict(new)", "Victim(self.network).predict(new)"), test_labels_are_the_oracles_alone),
    Mutant("substitute: the sign changes a round late", line(_Recipe, "step_after", "made // self.period", "(made - 1) // self.period"), test_the_step_changes_its_sign_after_each_period),
    Mutant("substitute: the sign never changes back", line(_Recipe, "step_after", "made // self.period % 2", "made // self.period"), test_the_step_changes_its_sign_after_each_period),
    Mutant("substitute: no reservoir", line(ROUNDS, "_made", "number > recipe.doublings", "False"), test_every_image_is_asked_about_once),
    Mutant("substitute: never starts anew", line(ROUNDS, "trained", "recipe.warm_start", "True"), test_a_cold_start_begins_each_round_with_the_first_parameters),
    Mutant("substitute: always starts anew", line(ROUNDS, "trained", "recipe.warm_start", "False"), test_a_cold_start_begins_each_round_with_the_first_parameters),
    Mutant("substitute: the same batches in each round", line(ROUNDS, "trained", "stream(recipe.seed, 1, number)", "recipe.seed"), test_a_cold_start_begins_each_round_with_the_first_parameters),
    Mutant("substitute: the seed is not used", line(ROUNDS, "trained", "stream(recipe.seed, 1, number)", "stream(0, 1, number)"), test_same_seed_same_bits),
    Mutant("reservoir: the last item too often", line(MODULE, "reservoir_sample", "(item + 1)", "item"), lambda: test_every_item_is_kept_equally_often(7, 6)),
    Mutant("reservoir: the first items only", line(MODULE, "reservoir_sample", "place < size", "place < 0"), lambda: test_every_item_is_kept_equally_often(10, 3)),
    Mutant("reservoir: places beyond it", line(MODULE, "reservoir_sample", "kept[place] = item", "kept[place // 2] = item"), lambda: test_every_item_is_kept_equally_often(10, 3)),
    Mutant("substitute: after Ctrl-C the network is half trained", line(MODULE, "substitute", "put_back(network.params, run.done.params)", "pass"), test_ctrl_c_while_it_is_trained_keeps_the_last_complete_round),
    Mutant("substitute: labels are asked for again", line(ROUNDS, "labelled", "len(done.points) == self.sizes(number + 1)[-1]", "False"), test_ctrl_c_while_it_is_trained_keeps_the_last_complete_round),
    Mutant("substitute: the file of another network", line(ROUNDS, "resume", "digest(*self.first.values()) not in", "None in"), test_files_that_do_not_fit_raise_an_error),
    Mutant("substitute: a file of more rounds", line(ROUNDS, "resume", "count > rounds", "False"), test_files_that_do_not_fit_raise_an_error),
    Mutant("substitute: the budget counts what is known", line(MODULE, "substitute", "run.sizes(rounds)[-1] - len(run.done.labels)", "run.sizes(rounds)[-1]"), test_a_budget_that_is_too_small_raises_before_any_work),
]
# fmt: on
