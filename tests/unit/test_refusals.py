"""Every refusal, whole: the operation, what it expected, what it got, and the fix, held to one approved text.  See `tests.support.approval`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from attacks import (
    AttackResult,
    FGSMAdversary,
    PGDAdversary,
    Targeted,
    Victim,
    apgd,
    by_class,
    cw_l0,
    cw_l2,
    deepfool,
    few_pixel,
    fgsm,
    fool_cppn,
    fool_gradient,
    forward_derivative,
    jsma,
    lbfgs,
    least_likely,
    pgd,
    plots,
    robustness_curve,
    square,
)
from attacks.evolution import CPPN, DirectEncoding, Draws, Genome, evolve
from attacks.report import fooling_plots
from attacks.report.evaluate import evaluate_attack
from minidl import linearize, load, models, ops, save
from minidl.data import Dataset
from minidl.errors import MinidlError
from minidl.npz import read_archive, write_archive
from minidl.testing import messages
from minidl.train import fit
from tests.laws.attacks import (
    test_apgd,
    test_deepfool,
    test_evaluate,
    test_few_pixel,
    test_jsma,
    test_lbfgs,
    test_pgd,
    test_square,
    test_transforms,
)
from tests.laws.attacks.test_every_attack import images, network
from tests.laws.engine import test_overriding
from tests.laws.evolution import test_fool_gradient
from tests.support.approval import approve
from tests.unit import test_bad_inputs, test_numpy_calls
from tests.unit.test_figures import CURVE, fooled


def refusals() -> Iterator[tuple[str, Callable[[], object]]]:
    """Everything that some test has refused, by its name there."""
    (x, y), net = images(0), network()
    t = Targeted((net(x).argmax(axis=1) + 1) % 5)
    for name, (call, *_) in test_bad_inputs.ATTACKS.items():
        yield f"attack: {name}", lambda call=call: call(fgsm)
    for name, (call, *_) in test_bad_inputs.OTHERS.items():
        yield name, call
    for name, (call, *_) in test_numpy_calls.REFUSED.items():
        yield f"a box: {name}", lambda call=call: linearize(call, test_numpy_calls.X)
    for name, (call, *_) in test_evaluate.REFUSALS.items():
        yield f"measure: {name}", lambda call=call: call(Victim(net))
    for name, (call, *_) in test_transforms.REFUSALS.items():
        yield f"transform: {name}", call
    for attack, refused, goal in (
        (apgd, test_apgd.REFUSED, y), (deepfool, test_deepfool.REFUSED, y), (few_pixel, test_few_pixel.REFUSED, y),
        (jsma, test_jsma.REFUSALS, t), (lbfgs, test_lbfgs.REFUSED, y), (square, test_square.REFUSED, y),
    ):  # fmt: skip
        for name, (options, *_) in refused.items():
            yield f"{attack.__name__}: {name}", lambda a=attack, g=goal, o=options: a(net, x, g, **o)
    for name, (options, *_) in test_fool_gradient.REFUSED.items():
        yield f"fool_gradient: {name}", lambda o=options: fool_gradient(net, **o)
    for name, options in test_pgd.BAD.items():
        yield f"pgd: {name}", lambda o=options: pgd(net, x, y, **o)
    for name, (call, *_) in test_overriding.REFUSED.items():
        yield f"override: {name}", call


def damaged(saved: Any, path: Path, kind: str, **changes: Any) -> None:
    """A sound file whose arrays or header were changed by somebody who can write such files."""
    saved(path)
    header, arrays = read_archive(path, kind)
    header = {name: value for name, value in header.items() if name not in ("kind", "version")}
    for name, value in changes.items():
        (arrays if name in arrays else header)[name] = value
    write_archive(path, kind, header, arrays)


def more(path: Path) -> Iterator[tuple[str, Callable[[], object]]]:
    """What is refused beside the tables of other tests; path: of a file."""
    (x, y), net = images(0), network()
    p = net(x).argmax(axis=1)
    t, data = (p + 1) % 5, Dataset(x, y, tuple("abcde"))
    two, three = models.mlp((1, 4, 4), 2, (3,)), models.mlp((1, 4, 4), 3, (3,))
    binary = {"y": two(x).argmax(axis=1), "t": Targeted(1 - two(x).argmax(axis=1))}
    hit = jsma(net, x, Targeted(t), max_distortion=0.2)
    result, fool = fgsm(net, x, y), fooled()
    genomes = CPPN((1, 4, 4)).start(2, Draws(0, 0))

    yield "apgd: nothing left for targets", lambda: apgd(net, x, Targeted(t), objective=("targeted_dlr",))
    yield (
        "apgd: three classes towards a target",
        lambda: apgd(three, x, Targeted((three(x).argmax(axis=1) + 1) % 3), objective="dlr"),
    )
    yield "apgd: two classes", lambda: apgd(two, x, binary["y"], objective="dlr")
    yield "pgd: dlr of two classes", lambda: pgd(two, x, binary["y"], objective="dlr")
    yield "pgd: dlr of two classes towards a target", lambda: pgd(two, x, binary["t"], objective="dlr")
    yield "pgd: an unknown objective", lambda: pgd(net, x, y, objective="hinge")
    yield "least_likely: targets", lambda: least_likely(net, x, Targeted(t))
    for options in ({"confidence": -1.0}, {"confidence": True}, {"lr": 0.0}, {"initial_c": 0}, {"largest_c": 0.0}, {"largest_c": 1e-9},
                    {"steps": 0}, {"steps": 2.5}):  # fmt: skip
        yield f"cw_l0: {options}", lambda o=options: cw_l0(net, x, y, **o)
    yield "cw_l2: no searches", lambda: cw_l2(net, x, y, binary_search_steps=0)
    for attack in (few_pixel, square):
        yield f"{attack.__name__}: flat images", lambda a=attack: a(lambda x: x[:, :3], x.reshape(7, 16), y)
    yield "images of bytes", lambda: fgsm(net, (x * 255).astype(np.uint8), y)
    yield "an overflowing slope", lambda: fgsm(lambda x: ops.sqrt(x.reshape(7, 16)[:, :3] * 0), x, y * 0)

    yield "hardness: an incomplete run", lambda: by_class.hardness_matrix(fgsm(net, x, Targeted(t)), [0.1])
    yield "hardness: small steps", lambda: by_class.hardness_matrix(jsma(net, x, Targeted(t), theta=0.5), [0.1])
    yield "hardness: wide steps", lambda: by_class.hardness_matrix(jsma(net, x, Targeted(t), theta=1.5), [0.1])
    yield (
        "hardness: interrupted",
        lambda: by_class.hardness_matrix(replace(hit, params=hit.params | {"interrupted": True}), [0.1]),
    )
    for distortions in ([], [0.1, 0.05], [-0.1, 0.1], [0.1, 0.9], [0.0, 0.1, 0.15, 0.3]):
        yield f"hardness: {distortions}", lambda distortions=distortions: by_class.hardness_matrix(hit, distortions)
    yield "by class: untargeted", lambda: by_class.success_matrix(result)
    yield "a curve without ε", lambda: robustness_curve(net, x, y, jsma, [0.1])
    yield (
        "a curve without ε, of one's own",
        lambda: robustness_curve(net, x, y, lambda victim, x, goal, size: None, [0.1]),
    )
    yield "a table of nothing", lambda: evaluate_attack(3, net)
    yield "another k", lambda: CURVE.top(2)
    yield "J of a function", lambda: forward_derivative(lambda x: x, x, steps=True)
    yield "an adversary without α", lambda: FGSMAdversary(alpha=2.0)
    yield "an adversary of a negative ε", lambda: PGDAdversary(epsilon=-0.1)
    yield "an adversary that never warms up", lambda: PGDAdversary(warm_up=float("inf"))

    yield "evolve: no encoding", lambda: evolve(net, "CPPN")
    yield "evolve: no archive", lambda: evolve(net, CPPN((1, 4, 4)), archive=dict)
    for name, changes in {
        "too few images": {"render": lambda genomes: np.full((len(genomes) - 1, 1, 4, 4), 0.5, np.float32)},
        "too many images": {"render": lambda genomes: np.full((len(genomes) + 1, 1, 4, 4), 0.5, np.float32)},
        "too few genomes": {"start": lambda count, draws: CPPN((1, 4, 4)).start(count - 1, draws)},
        "too many genomes": {"start": lambda count, draws: CPPN((1, 4, 4)).start(count + 1, draws)},
        "more genomes than images": {
            "start": lambda count, draws: CPPN((1, 4, 4)).start(count + 1, draws),
            "render": lambda genomes: np.full((len(genomes) - 1, 1, 4, 4), 0.5, np.float32),
        },
        "no genome": {"start": lambda count, draws: np.zeros((count, 3))},
    }.items():
        encoding = CPPN((1, 4, 4))
        parts = {part: getattr(encoding, part) for part in ("start", "vary", "render")} | changes
        yield f"evolve: {name}", lambda parts=parts: evolve(net, SimpleNamespace(**parts), population=6)
    yield "fool_cppn: a network of vectors", lambda: fool_cppn(models.mlp(16, 3, (4,)))
    yield "fool_cppn: a function", lambda: fool_cppn(lambda x: x)
    yield "fool_cppn: a plane", lambda: fool_cppn(lambda x: x, shape=(4, 4))
    yield "fool_gradient: another start", lambda: fool_gradient(net, start=x[:2, 0])
    for options in ({"shape": (0, 4, 4)}, {"shape": (1, 4, 4), "bounds": (1, 0)}, {"shape": (1, 4, 4), "dtype": "int32"},
                    {"shape": (1, 4, 4), "rate": 1.5}, {"shape": (1, 4, 4), "strength": 0}):  # fmt: skip
        yield f"DirectEncoding: {options}", lambda o=options: DirectEncoding(**o)
    yield "a genome of two lengths", lambda: Genome({"a": np.zeros(2), "b": np.zeros(3)})
    yield "graphs of no CPPNs", lambda: fooling_plots.cppn_graph(Genome({"pixels": x}), ["a"], x[:1])
    yield "graphs without names", lambda: fooling_plots.cppn_graph(genomes, ["a"], x[:2])
    yield "graphs of others", lambda: fooling_plots.cppn_graph(genomes, ["a", "b", "c"], x[:3])
    yield "graphs without images", lambda: fooling_plots.cppn_graph(genomes, ["a", "b"], x[:1])
    yield "a gallery of nothing", lambda: fooling_plots.gallery({})
    yield "a picture of two colours", lambda: plots.as_picture(np.zeros((2, 4, 4)))
    yield "a picture of two colours at last", lambda: plots.as_picture(np.zeros((4, 4, 2)))
    yield "a picture that is no square", lambda: plots.as_picture(np.zeros(15))

    yield "Dataset: whole numbers", lambda: Dataset(y, y, ("a",))
    yield "Dataset: labels of no numbers", lambda: Dataset(x, x[:, 0, 0, 0], ("a",))
    yield "Dataset: too few labels", lambda: Dataset(x, y[:6], tuple("abcde"))
    yield "Dataset: too few images", lambda: Dataset(x[:6], y, tuple("abcde"))
    yield "Dataset: flat", lambda: Dataset(x[:, 0, 0, 0], y, tuple("abcde"))
    yield "Dataset: too few names", lambda: Dataset(x, y * 0 + 2, ("a", "b"))
    yield "Dataset: negative labels", lambda: Dataset(x, y * 0 - 1, ("a", "b"))
    yield "split", lambda: data.split(1.5)
    yield "batches", lambda: data.batches(0)
    yield "take", lambda: data.take(-1)
    for options in ({"adversary": 3}, {"penalty": 3}, {"seed": -1}, {"validation": x}, {"adversary": len}, {"epochs": 1.5}, {"batch_size": 0},
                    {"batch_size": 8, "drop_last": True}):  # fmt: skip
        yield (
            f"fit: {options if 'validation' not in options else 'no validation'}",
            lambda o=options: fit(net, data, **{"epochs": 1} | o),
        )
    for axis in (-5, 4, (0, 0), (1, -3)):
        yield f"sum over {axis}", lambda axis=axis: ops.sum(x, axis=axis)
    yield "concatenate: nothing", lambda: ops.concatenate([])
    yield "concatenate: numbers", lambda: ops.concatenate([1.0, 2.0])
    yield "concatenate: a number first", lambda: ops.concatenate([1.0, x])
    yield "concatenate: different ranks", lambda: ops.concatenate([x, x[0]])

    yield "save: no network", lambda: save(x, path)
    yield "load: nothing there", lambda: load(path.with_name("absent.npz"))
    yield "load: a folder", lambda: load(path.parent)
    yield "save: a folder", lambda: save(net, path.parent)
    for name, changes in {
        "other images": {"x_adv": x[:, :, :3]}, "fewer images": {"x": x[:5], "x_adv": x[:5]}, "other precision": {"x_adv": x.astype(float)},
        "labels that are halves": {"labels": y + 0.5}, "success of whole numbers": {"success": y}, "false success": {"success": result.adv_pred == y},
        "no goal": {"goal": "Random"}, "a negative count": {"forwards": -1}, "a seed": {"seed": 1.5}, "parameters": {"params": [1]},
        "seconds": {"seconds": "long"},
    }.items():  # fmt: skip
        yield (
            f"AttackResult.load: {name}",
            lambda c=changes: [damaged(result.save, path, "attack", **c), AttackResult.load(path)],
        )
    for name, changes in {
        "fewer images": {"images": fool.images[:2]}, "other history": {"history": fool.history[:, :2]}, "flat history": {"history": fool.history[0]},
        "images of whole numbers": {"images": y}, "doubts": {"confidence": fool.confidence * 1.5}, "no archive": {"archive": "List"},
        "a negative count": {"backwards": -1}, "parameters": {"params": None}, "seconds": {"seconds": None},
    }.items():  # fmt: skip
        yield (
            f"FoolingResult.load: {name}",
            lambda c=changes: [damaged(fool.save, path, "fooling", **c), type(fool).load(path)],
        )
    yield "AttackResult.load: fooling images", lambda: [fool.save(path), AttackResult.load(path)]
    for name, changes in {"a name": {"more": x}, "a shape": {"dense1.W": x}}.items():

        def changed(changes: Any = changes) -> None:
            save(net, path)
            header, arrays = read_archive(path, "network")
            write_archive(
                path, "network", {k: v for k, v in header.items() if k not in ("kind", "version")}, arrays | changes
            )
            load(path)

        yield f"load: {name}", changed
    for name, params in {
        "a name missing": {"dense1.W": None}, "one besides": {"extra": x}, "another dtype": {"dense1.W": np.zeros((16, 12))},
        "another shape": {"dense1.b": np.zeros((1, 12), np.float32)},
    }.items():  # fmt: skip
        other = network()
        other.params = {k: v for k, v in (other.params | params).items() if v is not None}
        yield f"save: {name}", lambda other=other: save(other, path)
    listed = network()
    listed.params = list(listed.params.values())
    yield "save: a list", lambda: save(listed, path)
    fixed = network()
    fixed.params["dense1.W"].flags.writeable = False
    yield "fit: read-only", lambda: fit(fixed, data, epochs=1)
    for law, call in {
        "shapes": lambda: messages.close("law", np.zeros(2), np.zeros(3), 0.1),
        "values": lambda: messages.close("law", np.array([0.0, 3.5]), np.array([0.0, 4.0]), 0.09),
    }.items():
        yield f"testing: {law}", call


def test_errors_read_as_was_approved(tmp_path) -> None:
    """Other tests look for a few words."""
    messages, path = [], tmp_path / "file.npz"
    for name, call in [*refusals(), *more(path)]:
        with pytest.raises((MinidlError, AssertionError)) as caught, np.errstate(all="ignore"):
            call()
        message = re.sub(r" at 0x[0-9a-f]+", " at 0x…", str(caught.value)).replace(str(tmp_path), "…")
        messages.append(f"{name}\n    {type(caught.value).__name__}: {message}")
    approve("refusals", "\n".join(messages))
