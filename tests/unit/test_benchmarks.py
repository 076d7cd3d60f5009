"""The benchmarks run, say what they promise, and reckon rightly.  No time is asserted."""

from __future__ import annotations

import importlib.util
import json
import sys

import numpy as np
import pytest

import minidl
from minidl import models
from tests.benchmarks import __main__ as benchmarks
from tests.benchmarks import attack_contest, black_box, evolution, growth, pair_search, timing
from tests.benchmarks.peers import Peers
from tests.benchmarks.report import OURS, Target, columns, compare, number

QUICK = ["--quick", "--backend", "numpy"]


@pytest.fixture
def run(monkeypatch, capsys):
    """Run a benchmark's main as from the command line; what it printed."""
    monkeypatch.setattr(timing, "PAUSE", 0.0)

    def run(main, *arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["benchmarks", *arguments])
        main()
        return capsys.readouterr().out

    return run


@pytest.mark.parametrize(
    ("names", "works"),
    [
        (
            ["mlp", "products", "lenet", "gradient", "jacobian", "fgsm", "jsma", "carlini_wagner", "pairs"],
            ["MLP, training step of 8", "MLP, training step over its floor", "LeNet, training step of 8",
             "LeNet, gradient in 8 inputs", "LeNet, Jacobians of 8 digits", "LeNet, FGSM on 16 digits",
             "LeNet, JSMA, per digit", "LeNet, C&W L2, per digit", "best pair of 784 features, per image"],
        ),
        (
            ["imports", "start", "memory"],
            ["import", "first steps and attacks, cold", "first steps and attacks, warm",
             "LeNet, peak memory of an epoch of 256"],
        ),
    ],
    ids=["in turns", "fresh processes"],
)  # fmt: skip
@pytest.mark.slow
def test_every_contest_without_peers(names, works, run, tmp_path) -> None:
    arguments = [*QUICK, "--peers", "--only", *names, "--json", f"{tmp_path}/run.json", "--out", str(tmp_path)]
    output = run(benchmarks.main, *arguments)
    assert (tmp_path / "benchmarks.txt").read_text(encoding="utf-8") == output.removesuffix("\n")
    rows = output.partition("\n\n")[2].splitlines()[2:]
    assert [row.partition("  ")[0] for row in rows if not row.startswith(" ") and row] == works
    content = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    assert {"date", "command", "machine", "backend", "versions", "peers"} <= content["provenance"].keys()
    assert "reference kernels" in content["provenance"]["backend"]
    assert [result["work"] for result in content["results"]] == works
    for result in content["results"]:
        assert result["name"] in names
        assert result["unit"] in ("ms", "s", "MB")
        assert result["lines"][0]["who"] == OURS
        for line in result["lines"]:
            assert line["median"] > 0
            assert all(x > 0 for x in line["rounds"])
            assert (line["ratio"] is None) == (line["who"] == OURS)
            assert (line["target"] is None) == (line["met"] is None)
    by_program = {line["who"]: line for result in content["results"] for line in result["lines"]}
    assert "plain kernels" not in by_program or by_program["plain kernels"]["remark"] == "the same pairs"


def test_growth_and_pair_search(run, tmp_path) -> None:
    output = run(growth.main, *QUICK, "--peers", "--out", str(tmp_path))
    assert "training step" in output
    assert "forward walk" in output
    output = run(pair_search.main, *QUICK, "--repeats", "1", "--out", str(tmp_path))
    assert output.count("all pairs") == 2
    written = sorted(path.name for path in tmp_path.iterdir())
    assert written == ["growth.txt", "growth_batch.png", "growth_classes.png", "pair_search.png", "pair_search.txt"]


def test_evolution(run, tmp_path) -> None:
    output = run(evolution.main, *QUICK, "--repeats", "1", "--out", str(tmp_path))
    assert (tmp_path / "evolution.txt").read_text(encoding="utf-8") == output.removesuffix("\n")
    runs = [line.split("  ")[0] for line in output.partition("-\n")[2].splitlines()]
    assert runs[:3] == ["direct", "CPPN", "the network alone"]


def test_attacks_beside_others(run, tmp_path) -> None:
    minidl.save(models.mlp(hidden=(10,)), tmp_path / "robust.npz")
    arguments = ["--peers", "--robust", str(tmp_path / "robust.npz"), "--out", str(tmp_path)]
    output = run(attack_contest.main, *QUICK, *arguments)
    assert (tmp_path / "attack_contest.txt").read_text(encoding="utf-8") == output.removesuffix("\n")
    assert "PGD-40, ε 0.3, plain, per digit" in output
    assert [line.split()[:2] for line in output.splitlines() if " apgd " in line] == [
        ["plain", "0.1"],
        ["robust", "0.3"],
    ]
    assert output.count("no peer to compare with") == 2


def test_labels_and_trees_beside_others(run, tmp_path) -> None:
    output = run(black_box.main, *QUICK, "--peers", "--out", str(tmp_path))
    assert (tmp_path / "black_box.txt").read_text(encoding="utf-8") == output.removesuffix("\n")
    assert "HopSkipJump, L2, LeNet, the first 3 test digits" in output
    row = next(line.split() for line in output.splitlines() if line.startswith("    60"))
    assert row[1] == "minidl"
    assert int(row[2]) <= 60
    assert 0 <= float(row[3]) <= 1
    assert "decision trees, test digits" in output or "missing" in output


def test_what_is_too_far_off_is_not_misread() -> None:
    """Only images within ε count, for every library."""
    x, y = np.full((2, 1, 4, 4), 0.5, np.float32), np.zeros(2, int)
    net = models.mlp((1, 4, 4), 2, ())
    net.params["dense1.W"][...] = [1, -1]  # class 0 where pixels are light
    subject = attack_contest.Subject("plain", net, None, x, y)
    dark = np.stack([x[0] - 0.6, x[1] - 0.4])
    np.testing.assert_array_equal(subject.correct(-dark - 1, 0.5), [True, True])
    np.testing.assert_array_equal(subject.correct(np.stack([-dark[0] - 1, -x[1]]), 1.0), [True, False])


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not here")
@pytest.mark.parametrize("name", ["lenet", "madry", "mlp", "carlini"])
def test_pytorchs_networks_are_ours(name) -> None:
    from tests.benchmarks import torch_peer

    net, x = getattr(models, name)(), np.random.default_rng(0).random((5, 1, 28, 28)).astype(np.float32)
    weights = {key: np.asarray(w) for key, w in net.params.items()}
    theirs = torch_peer.Torch(1, False).mirror(net.layers.values(), weights)
    np.testing.assert_allclose(theirs(torch_peer.torch.from_numpy(x)).numpy(), net(x), rtol=1e-4, atol=1e-5)


def test_a_part_of_the_run_is_not_written_as_the_whole(run, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(benchmarks, "RESULTS", tmp_path)
    run(benchmarks.main, *QUICK, "--peers", "--only", "pairs")
    assert not list(tmp_path.iterdir())


def test_missing_peers_are_reported(monkeypatch) -> None:
    for library in ("jax", "art"):
        monkeypatch.setitem(sys.modules, library, None)  # its import fails
    monkeypatch.delitem(sys.modules, "tests.benchmarks.jax_peer", raising=False)
    peers = Peers(["jax", "art"])
    assert peers.torch is peers.jax is peers.art is None
    assert peers.status.keys() == {"jax", "art"}
    assert all(how.startswith("missing: ") for how in peers.status.values())


@pytest.mark.skipif(importlib.util.find_spec("cupy") is not None, reason="CuPy is here")
def test_without_a_gpu_the_cupy_backend_says_so(run) -> None:
    with pytest.raises(SystemExit, match=r"expected CuPy and a GPU, got No module .*Fix: run pip install"):
        run(benchmarks.main, "--quick", "--backend", "cupy")


def test_competitors_take_turns(monkeypatch) -> None:
    monkeypatch.setattr(timing, "PAUSE", 0.0)
    calls: list[str] = []
    seconds, results = timing.in_turns({name: lambda name=name: calls.append(name) or name for name in "ab"}, 3, 0.0)
    assert "".join(calls) == "aabb" + "ab" * 3
    assert results == {"a": "a", "b": "b"}
    assert [len(times) for times in seconds.values()] == [3, 3]


def test_ratios_are_those_of_the_rounds_and_the_best_peer_has_the_target() -> None:
    rounds = {OURS: [1.0, 2.0, 3.0], "slow": [4.0, 4.0, 4.0], "fast": [1.0, 1.0, 6.0]}
    ours, slow, fast = compare("name", "work", "ms", rounds, Target(0.75)).lines
    assert (ours.median, ours.ratio, ours.target) == (2.0, None, None)
    assert (slow.ratio, slow.target, slow.met) == (0.5, None, None)
    assert (fast.median, fast.ratio, fast.middle_half) == (1.0, 1.0, (0.75, 1.5))
    assert (fast.target, fast.met) == ("≤ 0.75 ×", False)


@pytest.mark.parametrize(
    ("target", "met", "message"),
    [
        (Target(0.5), True, "≤ 0.5 ×"),
        (Target(1 / 3), False, "≤ 1/3 ×"),
        (Target(1 / 12), False, "≤ 1/12 ×"),
        (Target(1, "difference"), True, "≤ +1"),
        (Target(1.9, "value"), False, "≤ 1.9"),
    ],
)
def test_targets(target, met, message) -> None:
    assert (target.met([1.0, 2.0, 3.0], [4.0, 5.0, 6.0]), str(target)) == (met, message)
    value = target.kind == "value"
    lines = compare("name", "work", "s", {OURS: [1.0, 2.0, 3.0], "peer": [4.0, 5.0, 6.0]}, target).lines
    assert [line.met for line in lines] == ([met, None] if value else [None, met])


def test_numbers_and_columns() -> None:
    assert list(map(number, (0.00123, 0.5, 1.0, 12.345, 123.45, 12345.6))) == [
        "0.00123", "0.5", "1.00", "12.3", "123", "12346"]  # fmt: skip
    assert columns([("who", "ms"), ("a", "1.00"), ("bb", "10")], left=("who",)) == [
        "who    ms", "---------", "a    1.00", "bb     10"]  # fmt: skip
