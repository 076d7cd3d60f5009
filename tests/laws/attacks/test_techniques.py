"""Laws of the techniques: each learns, answers with labels, and is attacked in its own way; without scikit-learn, too."""

from __future__ import annotations

import builtins
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest

import attacks.black_box.techniques
from attacks import Oracle, SoftNeighbours
from attacks.black_box.techniques import TECHNIQUES, Technique, train, vote
from minidl import fit, load_digits
from minidl.errors import DTypeError, MissingPackageError, RangeError, ShapeError
from minidl.testing import Mutant, line

FEW = 300


@pytest.fixture(scope="module")
def trained():
    pytest.importorskip("sklearn")
    digits, test = load_digits()
    return {name: train(name, digits.take(FEW), epochs=4) for name in TECHNIQUES}, test.take(100)


def test_each_learns(trained) -> None:
    models, test = trained
    for name, model in models.items():
        error = (model.predict(test.x) != test.y).mean()
        assert error < (0.6 if name == "DT" else 0.35), name
        oracle = model.oracle(budget=100)
        np.testing.assert_array_equal(oracle.predict(test.x), model.predict(test.x))
        assert isinstance(oracle, Oracle)
        assert (oracle.left, oracle.classes) == (0, 10)
        assert repr(model) == f"Technique({name})"


def test_each_is_attacked_in_its_own_way(trained) -> None:
    models, test = trained
    expected = {"DNN": "fgsm", "LR": "fgsm", "kNN": "fgsm", "SVM": "svm_step", "DT": "tree_attack"}
    for name, model in models.items():
        result = model.attack(test.x[:20], test.y[:20], epsilon=0.3, length=4.0)
        assert result.params["attack"] == expected[name]
        assert result.success.mean() > 0.3
        if name == "SVM":
            assert result.params["epsilon"] == 4.0
            assert result.l2.max() <= 4.0001
        elif name != "DT":
            assert result.linf.max() <= 0.30001
            shorter = model.attack(test.x[:20], test.y[:20], epsilon=2.0, norm="l2")
            assert shorter.l2.max() <= 2.0001
        if name != "kNN":  # whose attack is about a stand-in
            np.testing.assert_array_equal(result.adv_pred, model.predict(result.x_adv))
    assert isinstance(models["kNN"].network, SoftNeighbours)
    assert models["DT"].network is None


def test_linear_stand_ins_predict_as_the_classifiers_do(trained) -> None:
    models, test = trained
    for name in ("LR", "SVM"):
        np.testing.assert_array_equal(models[name].network(test.x).argmax(axis=1), models[name].predict(test.x))


def test_the_ensemble_is_the_class_of_most_votes(trained) -> None:
    models, test = trained
    votes = np.stack([model.predict(test.x) for model in models.values()])
    expected = [np.bincount(column, minlength=10).argmax() for column in votes.T]
    np.testing.assert_array_equal(vote(list(models.values()))(test.x), expected)
    assert (np.array(expected) != test.y).mean() < 0.3


def test_same_seed_same_model(trained) -> None:
    models, test = trained
    digits = load_digits()[0].take(FEW)
    for name in TECHNIQUES:
        again = train(name, digits, epochs=4)
        np.testing.assert_array_equal(again.predict(test.x), models[name].predict(test.x))


def test_empty_batches(trained) -> None:
    models, test = trained
    for model in models.values():
        assert model.predict(test.x[:0]).shape == (0,)
    assert vote(list(models.values()))(test.x[:0]).shape == (0,)
    with pytest.raises(ShapeError, match="at least one model"):
        vote([])


def test_ctrl_c_is_never_half_a_technique(monkeypatch) -> None:
    def tired(network, *arguments, **options):
        history = fit(network, *arguments, **options)
        history.interrupted = True
        return history

    monkeypatch.setattr(attacks.black_box.techniques, "fit", tired)
    with pytest.raises(KeyboardInterrupt):
        train("DNN", load_digits()[0].take(20), epochs=1)


def test_arguments_that_do_not_fit_raise_an_error() -> None:
    digits = load_digits()[0].take(20)
    with pytest.raises(RangeError, match=r"a technique of \['DNN'.*'XGB'"):
        train("XGB", digits)
    with pytest.raises(DTypeError, match="a Dataset.*ndarray"):
        train("LR", digits.x)


def test_without_scikit_learn_there_is_one_clear_error(monkeypatch) -> None:
    """Everything else works: the network is trained, attacked and asked."""
    real = builtins.__import__

    def without(name, *rest):
        if name.partition(".")[0] == "sklearn":
            raise ModuleNotFoundError("No module named 'sklearn'")
        return real(name, *rest)

    for name in [name for name in sys.modules if name.partition(".")[0] == "sklearn"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", without)
    digits = load_digits()[0].take(50)
    for name in ("LR", "SVM", "DT", "kNN"):
        with pytest.raises(MissingPackageError, match=r"scikit-learn, for .*pip install \"minidl\[black-box\]\""):
            train(name, digits)
    model = train("DNN", digits, epochs=1)
    assert isinstance(model, Technique)
    assert len(model.attack(digits.x[:3], digits.y[:3])) == 3
    assert model.oracle().predict(digits.x[:3]).shape == (3,)


def test_importing_attacks_does_not_import_scikit_learn() -> None:
    code = "import sys, attacks, attacks.black_box.techniques; sys.exit('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def trained_by_hand(law):
    """The law, with models and digits of its own: a mutant's law has no fixtures of its file."""
    digits, test = load_digits()
    return lambda: law(({name: train(name, digits.take(FEW), epochs=4) for name in TECHNIQUES}, test.take(100)))


#: Wrong on purpose, each beside the law of this file that must catch it: see `test_mutants`.
# fmt: off
MODULE = attacks.black_box.techniques
MUTANTS = [
    Mutant("techniques: the length of a step is ε", line(Technique, "attack", "epsilon=length", "epsilon=epsilon"), lambda: trained_by_hand(test_each_is_attacked_in_its_own_way)()),
    Mutant("techniques: always L∞", line(Technique, "attack", "norm=norm", 'norm="linf"'), lambda: trained_by_hand(test_each_is_attacked_in_its_own_way)()),
    Mutant("techniques: the fewest votes", line(MODULE, "vote", ".argmax(axis=-1)", ".argmin(axis=-1)"), lambda: trained_by_hand(test_the_ensemble_is_the_class_of_most_votes)()),
] if find_spec("sklearn") else []
# fmt: on
