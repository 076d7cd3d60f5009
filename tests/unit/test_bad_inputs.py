"""What is refused, and with which words: the operation, what it expected, what it got, the likely fix."""

from __future__ import annotations

import numpy as np
import pytest

import attacks.common.result
import attacks.common.run
import minidl
from attacks import Targeted, Untargeted, Victim, fgsm, sign_noise
from minidl import (
    backend,
    batch_jacobian,
    conv,
    evaluation,
    grad,
    jacobian,
    layers,
    linearize,
    losses,
    models,
    ops,
    optim,
    train,
)
from minidl.core import Record
from minidl.data import Dataset
from minidl.errors import BackendError, DTypeError, MinidlError, RangeError, ShapeError
from minidl.testing import Mutant, line

NET = models.mlp((1, 4, 4), 5, (12,))
X = np.random.default_rng(0).random((3, 1, 4, 4)).astype(np.float32)
Y = np.array([0, 1, 2])
A, B = np.ones((2, 3)), np.ones((4, 5))
DATA = Dataset(X, Y, tuple("abcde"))


def poisoned(value: float) -> np.ndarray:
    x = X.copy()
    x[1, 0, 2, 2] = value
    return x


def softmaxed() -> models.Sequential:
    return models.Sequential(layers.Flatten(), layers.Dense(5), layers.Softmax(), input_shape=(1, 4, 4))


def box(x: np.ndarray) -> minidl.Box:
    """A box as functions see it while they are recorded."""
    return Record().box(x)


ATTACKS = {
    "x above the bounds": (lambda a: a(NET, poisoned(1.5), Y), RangeError, r"pixels in \[0, 1\].*to 1.5"),
    "x below the bounds": (lambda a: a(NET, poisoned(-0.5), Y), RangeError, r"pixels in \[0, 1\].*-0.5"),
    "x of bytes' range": (lambda a: a(NET, X * 255, Y), RangeError, "scale them"),
    "x with NaN": (lambda a: a(NET, poisoned(np.nan), Y), RangeError, "none NaN.*nan"),
    "x with infinity": (lambda a: a(NET, poisoned(np.inf), Y), RangeError, "inf"),
    "x of another shape": (lambda a: a(NET, X[:, :, :3], Y), ShapeError, r"\(N, 1, 4, 4\).*\(3, 1, 3, 4\)"),
    "one image without its batch axis": (lambda a: a(NET, X[0], Y[:1]), ShapeError, r"x\[None\]"),
    "x of rank 1": (lambda a: a(lambda x: x, X[0, 0, 0], Y), ShapeError, "batch"),
    "x of bytes": (lambda a: a(NET, (X * 255).astype(np.uint8), Y), DTypeError, "floating-point.*uint8"),
    "x a list": (lambda a: a(NET, X.tolist(), Y), DTypeError, "floating-point.*list"),
    "labels of floats": (lambda a: a(NET, X, Y.astype(float)), DTypeError, r"integer.*float64.*astype\(np.int64\)"),
    "labels a list": (lambda a: a(NET, X, [0, 1, 2]), DTypeError, r"integer.*list.*Fix: np.asarray\(y\)$"),
    "labels one-hot": (lambda a: a(NET, X, np.eye(5)[Y]), DTypeError, r"float64.*Fix: y.argmax\(axis=-1\)$"),
    "labels one-hot, whole": (
        lambda a: a(NET, X, np.eye(5, dtype=int)[Y]),
        ShapeError,
        r"\(3, 5\).*y.argmax\(axis=-1\)$",
    ),
    "targets one-hot": (lambda a: a(NET, X, Targeted(np.eye(5)[Y])), DTypeError, r"Fix: t.argmax\(axis=-1\)$"),
    "no goal": (lambda a: a(NET, X, None), DTypeError, "integer.*NoneType"),
    "label too large": (lambda a: a(NET, X, np.array([0, 1, 5])), RangeError, r"0 \.\.\. 4.*0 to 5"),
    "label negative": (lambda a: a(NET, X, np.array([0, -1, 2])), RangeError, r"0 \.\.\. 4.*-1 to 2"),
    "too few labels": (lambda a: a(NET, X, Y[:2]), ShapeError, r"one label per image \(3,\).*\(2,\)"),
    "labels of rank 2": (lambda a: a(NET, X, Y[:, None]), ShapeError, r"\(3, 1\).*Fix: y\[..., 0\]"),
    "label too large for a function": (lambda a: a(lambda x: NET(x), X, Y + 4), RangeError, r"0 \.\.\. 4.*4 to 6"),
    "label negative for a function": (lambda a: a(lambda x: NET(x), X, -Y), RangeError, r"0 \.\.\. 4.*-2 to 0"),
    "target out of range": (lambda a: a(NET, X, Targeted(Y + 9)), RangeError, "labels in 0"),
    "epsilon negative": (lambda a: a(NET, X, Y, epsilon=-0.1), RangeError, "epsilon of at least 0.*-0.1"),
    "epsilon NaN": (lambda a: a(NET, X, Y, epsilon=[0.1, np.nan]), RangeError, "epsilon.*nan"),
    "epsilon infinite": (lambda a: a(NET, X, Y, epsilon=np.inf), RangeError, "epsilon.*inf"),
    "epsilon no number": (lambda a: a(NET, X, Y, epsilon="big"), RangeError, "epsilon"),
    "seed negative": (lambda a: a(NET, X, Y, seed=-1), RangeError, "seed.*-1"),
    "seed a float": (lambda a: a(NET, X, Y, seed=0.5), RangeError, "seed.*0.5"),
    "victim no function": (lambda a: a("net", X, Y), DTypeError, "network or a function.*str"),
    "victim ends with softmax": (lambda a: a(softmaxed(), X, Y), DTypeError, "logits.*Softmax"),
    "victim gives probabilities": (
        lambda a: a(lambda x: losses.softmax(NET(x)), X, Y),
        RangeError,
        "before the softmax",
    ),
    "victim gives one number each": (lambda a: a(lambda x: NET(x)[:, 0], X, Y), ShapeError, r"logits \(3, classes\)"),
    "victim gives too many": (lambda a: a(lambda x: ops.repeat(NET(x), 2, axis=0), X, Y), ShapeError, r"got \(6, 5\)"),
    "victim gives one class": (lambda a: a(lambda x: NET(x)[:, :1], X, Y * 0), ShapeError, "at least 2 classes"),
    "victim has diverged": (
        lambda a: a(lambda x: NET(x) * np.float32(np.nan), X, Y),
        RangeError,
        "finite logits.*diverged",
    ),
    "bounds upside down": (lambda a: a(Victim(NET, bounds=(1, 0)), X, Y), RangeError, "low < high"),
    "bounds too narrow": (lambda a: a(Victim(NET, bounds=(0, 0.5)), X, Y), RangeError, r"\[0, 0.5\]"),
    "no batch": (lambda a: a(Victim(NET, batch_size=0), X, Y), RangeError, "batch_size"),
}


@pytest.mark.parametrize("attack", [fgsm, sign_noise])
@pytest.mark.parametrize("name", ATTACKS)
def test_attacks_refuse(name, attack) -> None:
    call, error, message = ATTACKS[name]
    with pytest.raises(error, match=message) as caught:
        call(attack)
    assert isinstance(caught.value, MinidlError)


@pytest.mark.parametrize("name", sorted(set(ATTACKS) - {
    "label too large for a function", "label negative for a function", "victim gives probabilities", "victim has diverged",
    "victim gives one number each", "victim gives too many", "victim gives one class", "victim no function", "victim ends with softmax",
    "bounds upside down", "bounds too narrow", "no batch", "x of rank 1"}))  # fmt: skip
def test_before_any_work(name) -> None:
    """What can be known without running the network is refused without running it."""
    victim, (call, error, _) = Victim(NET), ATTACKS[name]
    with pytest.raises(error):
        call(lambda net, *arguments, **options: fgsm(victim, *arguments, **options))
    assert (victim.forwards, victim.backwards, victim.queries) == (0, 0, 0)


OTHERS = {
    "fgsm: unknown norm": (lambda: fgsm(NET, X, Y, norm="l3"), RangeError, "norm of.*l3"),
    "fgsm: victim not of our operations": (
        lambda: fgsm(lambda x: NET(minidl.core.unbox(x)), X, Untargeted(Y)), DTypeError, "minidl.ops in it instead of NumPy"),
    "linearize: integers": (lambda: linearize(ops.exp, np.arange(3)), DTypeError, "floating-point.*int64"),
    "linearize: a list": (lambda: linearize(ops.exp, [1.0]), DTypeError, "floating-point.*list"),
    "linearize: a number": (lambda: linearize(ops.exp, 1.0), DTypeError, "floating-point.*float"),
    "linearize: two results": (lambda: linearize(lambda x: (x, x), A), DTypeError, "one floating-point array.*tuple"),
    "linearize: no result": (lambda: linearize(lambda x: None, A), DTypeError, "one floating-point array.*NoneType"),
    "jvp: shape": (lambda: linearize(ops.exp, A).jvp(B), ShapeError, r"jvp.*\(\.\.\., 2, 3\).*\(4, 5\)"),
    "vjp: shape": (lambda: linearize(ops.exp, A).vjp(np.ones(3)), ShapeError, r"vjp.*\(\.\.\., 2, 3\).*\(3,\)"),
    "vjp: no batch axis": (
        lambda: linearize(lambda x: ops.reshape(x, (1, 6)), A).vjp(np.ones(6)), ShapeError, r"Fix: g.reshape\(\(1, 6\)\)"),
    "vjp: a stack without batch axes": (
        lambda: linearize(lambda x: ops.reshape(x, (1, 6)), A).vjp(np.ones((5, 6))), ShapeError, r"Fix: g.reshape\(\(5, 1, 6\)\)"),
    "jvp: one for all rows": (lambda: linearize(ops.exp, A).jvp(np.ones(3)), ShapeError, r"Fix: np.broadcast_to\(t, \(2, 3\)\)"),
    "jvp: stacked behind": (lambda: linearize(ops.exp, A).jvp(np.ones((2, 3, 5))), ShapeError, "Fix: put extra axes in front"),
    "jvp: names": (lambda: linearize(lambda p: p["a"], {"a": A}).jvp({"b": A}), ShapeError, r"\['a'\].*\['b'\]"),
    "jvp: no dict": (lambda: linearize(lambda p: p["a"], {"a": A}).jvp(A), ShapeError, "dict.*ndarray"),
    "grad: no scalar": (lambda: grad(ops.exp, A), ShapeError, r"scalar.*\(2, 3\).*jacobian"),
    "jacobian: mode": (lambda: jacobian(ops.exp, A, "sideways"), RangeError, "mode.*sideways"),
    "jacobian: chunk": (lambda: jacobian(ops.exp, A, chunk=0), RangeError, "chunk"),
    "batch_jacobian: rows": (lambda: batch_jacobian(ops.sum, A), ShapeError, "same N"),
    "vjp: a number": (lambda: linearize(ops.sum, A).vjp(1.0), DTypeError, r"vjp.*array.*float.*np.asarray\(g\)"),
    "jvp: a list": (lambda: linearize(ops.exp, A).jvp([1.0]), DTypeError, "jvp.*array.*list"),
    "batch_jacobian: a dict": (lambda: batch_jacobian(lambda p: p["a"], {"a": A}), DTypeError, "batch_jacobian.*dict"),
    "jacobian: chunk of a half": (lambda: jacobian(ops.exp, A, chunk=2.5), RangeError, "chunk.*2.5"),
    "NumPy's sum of a box": (lambda: np.sum(box(A)), DTypeError, "numpy.sum.*minidl.ops"),
    "epsilon of None": (lambda: fgsm(NET, X, Y, epsilon=None), RangeError, "epsilon.*None"),
    "epsilon of True": (lambda: fgsm(NET, X, Y, epsilon=True), RangeError, "epsilon.*True"),
    "Victim: bounds of None": (lambda: Victim(NET, bounds=None), RangeError, "low < high.*None"),
    "Victim: half an example": (lambda: Victim(NET, batch_size=2.5), RangeError, "batch_size.*2.5"),
    "stack: axis": (lambda: ops.stack([box(A), A], axis=5), ShapeError, "stack.*axis=5"),
    "concatenate: lengths": (lambda: ops.concatenate([box(A), B]), ShapeError, "concatenate.*same lengths"),
    "mlp: one hidden layer as a number": (lambda: models.mlp(hidden=100), DTypeError, r"hidden.*\(100,\)"),
    "mlp: one rate": (lambda: models.mlp(dropout=0.2), DTypeError, "dropout.*0.2"),
    "network of integers": (lambda: models.mlp(dtype="int32"), DTypeError, "floating-point.*int32"),
    "take: a negative number": (lambda: DATA.take(-2), RangeError, "take.*-2"),
    "evaluate: a network that has diverged": (
        lambda: train.evaluate(lambda x: NET(x) * np.float32(np.nan), DATA), RangeError, "finite.*diverged"),
    "learning rate infinite": (lambda: optim.SGD(lr=np.inf), RangeError, "lr.*inf"),
    "conv2d: channels": (lambda: conv.conv2d(X, np.ones((2, 3, 2, 2))), ShapeError, r"same C.*\(2, 3, 2, 2\)"),
    "conv2d: filter too large": (lambda: conv.conv2d(X, np.ones((2, 1, 5, 5))), ShapeError, "windows that fit.*5, 5"),
    "conv2d: stride": (lambda: conv.conv2d(X, np.ones((2, 1, 2, 2)), stride=0), RangeError, "stride.*0"),
    "conv2d: padding": (lambda: conv.conv2d(X, np.ones((2, 1, 2, 2)), padding=-1), RangeError, "padding.*-1"),
    "max_pool2d: window too large": (lambda: conv.max_pool2d(X, 5), ShapeError, "windows that fit"),
    "max_pool2d: no size": (lambda: conv.max_pool2d(X, 0), ShapeError, "size of at least 1"),
    "avg_pool2d: no image": (lambda: conv.avg_pool2d(np.ones(3)), ShapeError, "images"),
    "Conv2d after Flatten": (
        lambda: models.Sequential(layers.Flatten(), layers.Conv2d(2, 3), input_shape=(1, 4, 4)), ShapeError, "before Flatten"),
    "Conv2d: channels": (lambda: layers.Conv2d(0, 3), RangeError, "channels.*0"),
    "MaxPool2d: stride down and across": (lambda: layers.MaxPool2d(2, (2, 0)), RangeError, r"stride.*\(2, 0\)"),
    "MaxPool2d: three strides": (lambda: layers.MaxPool2d(2, (1, 2, 3)), RangeError, r"stride.*\(1, 2, 3\)"),
    "MaxPool2d: padding": (lambda: layers.MaxPool2d(3, padding=2), RangeError, r"at most half the window's \(3, 3\).*2"),
    "AvgPool2d: padding across": (lambda: layers.AvgPool2d((2, 1), padding=1), RangeError, "at most half"),
    "max_pool2d: half a padding": (lambda: conv.max_pool2d(X, 2, padding=0.5), RangeError, "whole padding.*0.5"),
    "max_pool2d: padded bytes": (
        lambda: conv.max_pool2d(X.astype(np.uint8), 2, padding=1), DTypeError, r"floating-point.*uint8.*astype\(np.float32\)"),
    "avg_pool2d: window too large in spite of its padding": (
        lambda: conv.avg_pool2d(X, (8, 2), padding=(1, 0)), ShapeError, r"windows that fit.*padding \(1, 0\)"),
    "Conv2d: dilation": (lambda: layers.Conv2d(2, 3, dilation=2), RangeError, "dilation=1.*2.*zeros between their weights"),
    "Conv2d: groups": (lambda: layers.Conv2d(2, 3, groups=2), RangeError, "groups=1.*2.*ops.concatenate"),
    "Conv2d: padding": (lambda: layers.Conv2d(2, 3, padding=-1), RangeError, "padding.*-1"),
    "Conv2d: half a padding": (lambda: layers.Conv2d(2, 3, padding=0.5), RangeError, "padding.*0.5"),
    "Conv2d: padding by name": (lambda: layers.Conv2d(2, 3, padding="same"), RangeError, "padding.*same"),
    "Conv2d: no size": (lambda: layers.Conv2d(2, None), ShapeError, "size.*None"),
    "MaxPool2d: stride": (lambda: layers.MaxPool2d(2, 0), RangeError, "stride.*0"),
    "MaxPool2d: size": (lambda: layers.MaxPool2d(2.0), ShapeError, "size.*2.0"),
    "lenet: one number of channels": (lambda: models.lenet(channels=20), DTypeError, r"channels.*\(20, 50\)"),
    "carlini: one number of channels": (lambda: models.carlini(channels=32), DTypeError, r"channels.*\(32, 64\)"),
    "carlini: image too small": (lambda: models.carlini((1, 12, 12)), ShapeError, "fit"),
    "madry: three numbers of channels": (lambda: models.madry(channels=(1, 2, 3)), DTypeError, r"channels.*\(32, 64\)"),
    **{f"Sequential: {n} inputs": (lambda n=n: models.Sequential(layers.Dense(3), input_shape=n), ShapeError, f"whole.*{n}") for n in (0, -4, 16.5)},
    "softmax_regression: half a side": (lambda: models.softmax_regression((1, 4, 0.5)), ShapeError, "whole.*0.5"),
    "save: the wrong way round": (lambda: minidl.save("net.npz", NET), DTypeError, r"str.*exchange them: minidl.save\(net, path\)"),
    "stack: numbers": (lambda: ops.stack([1.0, 2.0]), ShapeError, r"Fix: np.array\(parts\)"),
    "stack: a list": (lambda: ops.stack([A[0, 0], [1.0]]), ShapeError, r"one shape.*\[1.0\]"),
    "stack: nothing": (lambda: ops.stack([]), ShapeError, "one or more"),
    "mlp: three rates": (lambda: models.mlp(dropout=(0.1, 0.2, 0.3)), DTypeError, "dropout.*0.3"),
    "matmul: to be transposed": (lambda: box(A) @ A, ShapeError, "Fix: a @ b.T"),
    "matmul: the first to be transposed": (lambda: box(A) @ np.ones((2, 4)), ShapeError, "Fix: a.T @ b"),
    "vgg: depth": (lambda: models.vgg(depth=12), RangeError, r"\[11, 13, 16, 19\].*12"),
    "vgg: depths": (lambda: models.vgg(depth=[11]), RangeError, r"\[11, 13, 16, 19\].*\[11\]"),
    "vgg: no width": (lambda: models.vgg(width=0), RangeError, "width.*0"),
    "vgg: half a width": (lambda: models.vgg(width=0.5), RangeError, "whole width.*0.5"),
    "vgg: no hidden units": (lambda: models.vgg(width=1, hidden=0), RangeError, "units.*0"),
    "vgg: dropout of everything": (lambda: models.vgg(width=1, hidden=1, dropout=1.0), RangeError, "rate.*1.0"),
    "vgg: flat inputs": (lambda: models.vgg((3072,)), ShapeError, r"channels, height, width.*3072"),
    "vgg: a number of inputs": (lambda: models.vgg(3072), ShapeError, r"channels, height, width.*3072"),
    "lenet: image too small": (lambda: models.lenet((1, 8, 8)), ShapeError, "fit"),
    "lenet: activation": (lambda: models.lenet(activation="swish"), RangeError, "activation.*swish"),
    "a box in NumPy": (lambda: np.asarray(box(A)), DTypeError, "minidl.ops"),
    "a box and a list": (lambda: ops.add(box(A), [1, 2, 3]), DTypeError, "add.*list"),
    "add: shapes": (lambda: ops.add(box(A), B), ShapeError, r"add.*\(2, 3\) and \(4, 5\)"),
    "matmul: shapes": (lambda: box(A) @ B, ShapeError, r"matmul.*\(2, 3\) @ \(4, 5\)"),
    "matmul: a number": (lambda: box(A) @ 2.0, ShapeError, r"\(2, 3\) @ \(\)"),
    "reshape": (lambda: ops.reshape(A, (4, 2)), ShapeError, r"6 elements.*\(4, 2\)"),
    "reshape: two unknowns": (lambda: ops.reshape(A, (-1, -1)), ShapeError, "reshape"),
    "transpose": (lambda: ops.transpose(A, (0, 0)), ShapeError, r"\(0, 0\)"),
    "broadcast_to": (lambda: ops.broadcast_to(A, (4, 2)), ShapeError, r"\(2, 3\).*\(4, 2\)"),
    "sum: axis": (lambda: ops.sum(A, axis=2), ShapeError, "axis=2"),
    "sum: axis twice": (lambda: ops.sum(A, axis=(0, -2)), ShapeError, "different axes"),
    "mean of nothing": (lambda: ops.mean(A[:0]), ShapeError, "at least one element"),
    "max of nothing": (lambda: ops.max(A[:0], axis=0), ShapeError, "at least one element"),
    "min of nothing": (lambda: ops.min(A[:0], axis=0), ShapeError, "min.*at least one element"),
    "var of nothing": (lambda: ops.var(A[:0]), ShapeError, "var.*at least one element"),
    "std: ddof": (lambda: ops.std(A, axis=0, ddof=2), ShapeError, r"std.*more than ddof=2 elements.*\(2, 3\)"),
    "prod: axis": (lambda: ops.prod(A, axis=2), ShapeError, "prod.*axis=2"),
    "logsumexp of nothing": (lambda: ops.logsumexp(A[:, :0], axis=1), ShapeError, "logsumexp.*at least one element"),
    "softmax: axis": (lambda: ops.softmax(A, axis=2), ShapeError, "softmax.*one of 2 axes.*axis=2"),
    "log_softmax: two axes": (lambda: ops.log_softmax(A, axis=(0, 1)), ShapeError, r"log_softmax.*one of 2 axes.*\(0, 1\)"),
    "clip: bounds upside down": (lambda: ops.clip(A, 1, 0), RangeError, "clip.*low=1, high=0"),
    "clip: a list": (lambda: ops.clip(box(A), [0, 1, 2]), DTypeError, "maximum.*list"),
    "swapaxes": (lambda: ops.swapaxes(A, 0, 2), ShapeError, "swapaxes.*one of 2 axes.*axis=2"),
    "squeeze: a longer axis": (lambda: ops.squeeze(A, 0), ShapeError, r"squeeze.*length 1.*axis=0 of \(2, 3\)"),
    "expand_dims: axis": (lambda: ops.expand_dims(A, 3), ShapeError, "expand_dims.*of the 3 there will be.*axis=3"),
    "expand_dims: axis twice": (lambda: ops.expand_dims(A, (0, -4)), ShapeError, r"different axes of the 4.*\(0, -4\)"),
    "flip: axis": (lambda: ops.flip(A, 2), ShapeError, "flip.*axis=2"),
    "pad: negative": (lambda: ops.pad(A, -1), RangeError, r"pad.*at least 0.*width=-1.*x\[1:-1\]"),
    "pad: three pairs": (lambda: ops.pad(A, [(1, 1)] * 3), ShapeError, r"pad.*2 such pairs.*\(2, 3\)"),
    "pad: half an entry": (lambda: ops.pad(A, 0.5), ShapeError, "pad.*width=0.5"),
    "pad: by an array": (lambda: ops.pad(A, 1, box(A)), DTypeError, "pad.*one number.*Box.*concatenate"),
    "repeat: minus one time": (lambda: ops.repeat(A, -1), RangeError, "repeat.*at least 0.*-1"),
    "repeat: half a time": (lambda: ops.repeat(A, 0.5), RangeError, "repeat.*0.5"),
    "repeat: too few numbers": (lambda: ops.repeat(A, [1], axis=1), ShapeError, "repeat.*each of 3 entries.*1"),
    "repeat: axis": (lambda: ops.repeat(A, 2, axis=2), ShapeError, "repeat.*one of 2 axes"),
    "astype: whole numbers": (lambda: box(A).astype(int), DTypeError, r"astype.*floating-point.*int64.*stop_gradient\(x\).astype"),
    "astype: no dtype": (lambda: box(A).astype("single-ish"), DTypeError, "astype.*floating-point dtype.*single-ish"),
    "dot: stacks": (lambda: ops.dot(np.ones((2, 2, 2)), A), ShapeError, "dot.*ranks 3 and 2.*a @ b"),
    "dot: lengths": (lambda: box(A).dot(A), ShapeError, r"matmul.*\(2, 3\) @ \(2, 3\)"),
    "einsum: operands first": (lambda: ops.einsum(A, B), DTypeError, "einsum.*'ij,jk->ik' first.*ndarray"),
    "einsum: no letters": (lambda: ops.einsum("i1->i", A), RangeError, "letters, commas.*'i1->i'"),
    "einsum: two arrows": (lambda: ops.einsum("ij->i->j", A), RangeError, "one '->'.*'ij->i->j'"),
    "einsum: too few operands": (lambda: ops.einsum("ij,jk", A), ShapeError, "2 operands for 'ij,jk'.*1"),
    "einsum: too few letters": (lambda: ops.einsum("i->i", A), ShapeError, r"rank 1 for 'i' in 'i->i'.*rank 2.*'\.\.\.'"),
    "einsum: too many letters": (lambda: ops.einsum("...ijk->i", A), ShapeError, "rank 3 for.*rank 2"),
    "einsum: lengths": (lambda: ops.einsum("ij,jk", A, B), ShapeError, r"one length for 'j' in 'ij,jk'.*3 and 4.*\(4, 5\)"),
    "einsum: lengths behind dots": (lambda: ops.einsum("...,...", A, B), ShapeError, r"one length for '\.\.\.'"),
    "einsum: an unknown letter": (lambda: ops.einsum("ij->k", A), RangeError, "letters of the operands.*'ij->k'"),
    "einsum: a letter twice": (lambda: ops.einsum("ij->ii", A), RangeError, "each once.*'ij->ii'"),
    "einsum: dots lost": (lambda: ops.einsum("...j->j", A), RangeError, r"'\.\.\.' behind '->'"),
    "concatenate nothing": (lambda: ops.concatenate([]), ShapeError, "one or more"),
    "concatenate ranks": (lambda: ops.concatenate([A, A[0]]), ShapeError, "same rank"),
    "stack shapes": (lambda: ops.stack([A, B]), ShapeError, "one shape"),
    "iterate a scalar": (lambda: list(box(np.array(1.0))), DTypeError, "rank 0"),
    "cross_entropy: float labels": (lambda: losses.cross_entropy(A, np.ones(2)), DTypeError, "integer"),
    "cross_entropy: label range": (lambda: losses.cross_entropy(A, np.array([0, 3])), RangeError, r"0 \.\.\. 2.*0 to 3"),
    "cross_entropy: one-hot": (lambda: losses.cross_entropy(A, np.eye(2, 3)), DTypeError, r"Fix: labels.argmax\(axis=-1\)"),
    "cross_entropy: one-hot, whole": (lambda: losses.cross_entropy(A, np.eye(2, 3, dtype=int)), ShapeError, r"Fix: labels.argmax\(axis=-1\)"),
    "cross_entropy: a list": (lambda: losses.cross_entropy(A, [0, 1]), DTypeError, r"Fix: np.asarray\(labels\)"),
    "cross_entropy: label count": (lambda: losses.cross_entropy(A, np.array([0])), ShapeError, r"\(1,\) for logits \(2, 3\)"),
    "cross_entropy: reduction": (lambda: losses.cross_entropy(A, np.array([0, 1]), "max"), RangeError, "reduction"),
    "softmax: no classes": (lambda: losses.softmax(A[:, :0]), ShapeError, r"softmax.*at least one class.*\(2, 0\)"),
    "log_softmax: no classes": (lambda: losses.log_softmax(box(A[:, :0])), ShapeError, r"log_softmax.*at least one class"),
    "softmax of a scalar": (lambda: losses.softmax(np.array(1.0)), ShapeError, r"softmax.*at least one class.*\(\)"),
    "cross_entropy: no classes": (
        lambda: losses.cross_entropy(A[:0, :0], np.zeros(0, int), "none"), ShapeError, "cross_entropy.*at least one class"),
    "norm: axis": (lambda: ops.norm(A, axis=2), ShapeError, "norm.*axis=2"),
    "evaluate: probabilities": (
        lambda: train.evaluate(lambda x: losses.softmax(NET(x)), DATA), RangeError, "evaluate.*rows that sum to 1.*before the softmax"),
    "evaluate: whole numbers": (
        lambda: train.evaluate(lambda x: NET(x).astype(int), DATA), DTypeError, "floating-point logits.*int64"),
    "cross_entropy of nothing": (lambda: losses.cross_entropy(A[:0], np.zeros(0, int)), ShapeError, "at least one"),
    "squared_error": (lambda: losses.squared_error(A, A[0]), ShapeError, "one shape"),
    "penalty": (lambda: losses.Penalty(l1=-1.0), RangeError, "at least 0.*l1=-1"),
    "dense units": (lambda: layers.Dense(0), RangeError, "units"),
    "dropout rate": (lambda: layers.Dropout(1.0), RangeError, r"\[0, 1\)"),
    "dropout rng": (lambda: NET.apply(NET.params, X, rng=3), DTypeError, r"default_rng\(seed\)"),
    "layers that do not fit": (lambda: models.Sequential(layers.Dense(3), input_shape=(2, 2)), ShapeError, r"Flatten\(\)"),
    "no layers": (lambda: models.Sequential(input_shape=3), DTypeError, "one or more layers"),
    "layers in a list": (lambda: models.Sequential([layers.ReLU()], input_shape=3), DTypeError, "one by one"),
    "activation": (lambda: models.mlp(activation="swish"), RangeError, "swish"),
    "network: one image": (lambda: NET(X[0]), ShapeError, r"x\[None\]"),
    "network: other size": (lambda: NET(np.zeros((2, 1, 5, 5))), ShapeError, r"\(N, 1, 4, 4\)"),
    "lr": (lambda: optim.SGD(lr=0), RangeError, "learning rate"),
    "momentum": (lambda: optim.SGD(momentum=1.0), RangeError, "momentum"),
    "beta": (lambda: optim.Adam(beta2=-0.1), RangeError, "beta2"),
    "epsilon of Adam": (lambda: optim.Adam(epsilon=0), RangeError, "epsilon"),
    "fit: epochs": (lambda: train.fit(NET, DATA, epochs=-1), RangeError, "epochs"),
    "fit: batch_size": (lambda: train.fit(NET, DATA, epochs=1, batch_size=0), RangeError, "batch_size"),
    "fit: no batch": (lambda: train.fit(NET, DATA, epochs=1, drop_last=True), ShapeError, "one batch"),
    "fit: no examples": (lambda: train.fit(NET, DATA.take(0), epochs=1), ShapeError, "one batch"),
    "fit: arrays": (lambda: train.fit(NET, X, epochs=1), DTypeError, "Dataset.*ndarray"),
    "fit: probabilities": (lambda: train.fit(softmaxed(), DATA, epochs=1), DTypeError, "leave the Softmax out"),
    "fit: outputs of no classes": (
        lambda: train.fit(models.Sequential(layers.ReLU(), input_shape=(1, 4, 4)), DATA, epochs=1), RangeError, r"outputs of shape \(1, 4, 4\)"),
    "fit: classes": (lambda: train.fit(models.mlp((1, 4, 4), 2, (3,)), DATA, epochs=1), RangeError, "as many classes"),
    "evaluate: outputs": (lambda: evaluation.evaluate(lambda x: x, DATA), ShapeError, r"logits \(3, classes\)"),
    "calibration": (lambda: evaluation.evaluate(NET, DATA).calibration(0), RangeError, "bin"),
    "backend": (lambda: backend.use("abacus"), BackendError, "numpy.*abacus"),
    "namespace": (lambda: backend.namespace([1.0]), DTypeError, "list.*numpy.asarray"),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_the_engine_refuses(name) -> None:
    call, error, message = OTHERS[name]
    with pytest.raises(error, match=message) as caught:
        call()
    raised = caught.value
    assert isinstance(raised, MinidlError)
    assert raised.operation
    assert raised.expected
    assert raised.got
    assert "expected" in str(raised)


def test_parameters_are_untouched_by_a_refusal() -> None:
    before = {name: w.copy() for name, w in NET.params.items()}
    for call, error, _ in OTHERS.values():
        with pytest.raises(error):
            call()
    assert all(np.array_equal(NET.params[name], w) for name, w in before.items())


#: Wrong on purpose, each beside the law of this file that must catch it: see `test_mutants`.
# fmt: off
MUTANTS = [
    Mutant("evaluate: softmax of probabilities", line(evaluation, "evaluate", "losses.are_probabilities(outputs)", "False"), lambda: test_the_engine_refuses("evaluate: probabilities")),
    Mutant("FGSM: a function's labels not looked at before they count", line(attacks.common.run.Run, "__init__", "_check_classes(attack, victim, goal, logits)", "pass"), lambda: test_attacks_refuse("label negative for a function", fgsm)),
    Mutant("labels: checked after the network has run", line(attacks.common.run, "_check_classes", "(known is None) == (logits is None)", "logits is None"), lambda: test_before_any_work("label too large")),
]
# fmt: on
