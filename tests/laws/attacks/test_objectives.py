"""Laws of the objectives: what they mean, by definition, and that their slopes are theirs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import attacks.common.objectives
from attacks import Targeted, Untargeted
from attacks.common.objectives import OBJECTIVES, cross_entropy, dlr, margin
from minidl import testing
from minidl.errors import ShapeError
from minidl.testing import Mutant, line
from tests.laws.attacks.test_every_attack import seeds

goals = st.sampled_from([Untargeted, Targeted])


def drawn(seed: int, classes: int = 6) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(5, classes)) * 3, rng.integers(0, classes, 5)


@pytest.mark.parametrize("name", OBJECTIVES)
@given(seed=seeds, kind=goals)
def test_slopes_are_the_objectives(name, seed, kind) -> None:
    z, labels = drawn(seed)
    testing.check_all(lambda z: OBJECTIVES[name](kind(labels), z), z)


@given(seed=seeds, kind=goals)
def test_a_margin_above_0_is_success(seed, kind) -> None:
    z, labels = drawn(seed)
    np.testing.assert_array_equal(margin(kind(labels), z) > 0, kind(labels).achieved(z.argmax(axis=-1)))
    np.testing.assert_array_equal(dlr(kind(labels), z) > 0, kind(labels).achieved(z.argmax(axis=-1)))


@given(seed=seeds)
def test_definitions(seed) -> None:
    z, labels = drawn(seed)
    for row, label, away, toward, ratio, aimed, loss in zip(
        z, labels, margin(Untargeted(labels), z), margin(Targeted(labels), z), dlr(Untargeted(labels), z),
        dlr(Targeted(labels), z), cross_entropy(Targeted(labels), z),
    ):  # fmt: skip
        others, falling = np.delete(row, label), sorted(row, reverse=True)
        np.testing.assert_allclose(away, others.max() - row[label])
        np.testing.assert_allclose(toward, row[label] - others.max())
        np.testing.assert_allclose(ratio, (others.max() - row[label]) / (falling[0] - falling[2]))
        np.testing.assert_allclose(aimed, (row[label] - others.max()) / (falling[0] - (falling[2] + falling[3]) / 2))
        np.testing.assert_allclose(loss, row[label] - np.log(np.exp(row).sum()), rtol=1e-9)


@given(seed=seeds, kind=goals, scale=st.floats(0.1, 100), shift=st.floats(-10, 10))
def test_the_ratio_knows_no_scale_and_no_shift(seed, kind, scale, shift) -> None:
    z, labels = drawn(seed)
    np.testing.assert_allclose(dlr(kind(labels), scale * z + shift), dlr(kind(labels), z), rtol=1e-6, atol=1e-9)


def test_logits_that_are_all_equal_have_no_ratio_but_a_number() -> None:
    assert (dlr(Untargeted(np.zeros(2, int)), np.ones((2, 4), np.float32)) == 0).all()


def test_too_few_classes_for_a_ratio() -> None:
    z, labels = drawn(0, 3)
    dlr(Untargeted(labels), z)
    with pytest.raises(ShapeError, match="at least 4 classes"):
        dlr(Targeted(labels), z)
    with pytest.raises(ShapeError, match="at least 3 classes"):
        dlr(Untargeted(labels[:2] * 0), z[:2, :2])


#: Wrong on purpose, each beside the law of this file that must catch it: see `test_mutants`.
# fmt: off
MUTANTS = [
    Mutant("margin: the label among the others", line(attacks.common.objectives, "margin", "ops.where(labels, -namespace(labels).inf, logits)", "logits"), test_definitions),
    Mutant("ratio: the second for the third", line(attacks.common.objectives, "dlr", "(0, 2, needed - 1)", "(0, 1, needed - 1)"), test_definitions),
    Mutant("objectives: targets as if untargeted", lambda patch: patch.setattr(Targeted, "direction", 1), test_definitions),
]
# fmt: on
