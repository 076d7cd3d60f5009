"""Drawn cases of operations that reshape, reduce, pick, join and multiply arrays."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from ... import ops
from ..drawing import Draw, arrays, axes_of, broadcastable, shapes, st
from .cases import CASES, Case, case

# --- linear ----------------------------------------------------------------------------------------------


@case
def reshape(draw: Draw) -> Case:
    shape = draw(shapes(0, 4))
    new = tuple(draw(st.permutations(shape)))
    if draw(st.booleans()):
        new = (*new, 1)
    if new and draw(st.booleans()):
        new = (-1, *new[1:])
    return Case(lambda x: ops.reshape(x, new), draw(arrays(shape)), lambda x: x.reshape(new), f"reshape to {new}")


@case
def transpose(draw: Draw) -> Case:
    shape = draw(shapes(0, 4))
    order = draw(st.sampled_from([*itertools.permutations(range(len(shape))), None]))
    return Case(lambda x: ops.transpose(x, order), draw(arrays(shape)), lambda x: x.transpose(order), f"{order}")


@case
def broadcast_to(draw: Draw) -> Case:
    full = draw(shapes(0, 4))
    own = tuple(draw(st.sampled_from([n, 1])) for n in full[draw(st.integers(0, len(full))) :])
    return Case(
        lambda x: ops.broadcast_to(x, full), draw(arrays(own)), lambda x: np.broadcast_to(x, full), f"to {full}"
    )


def reduction(name: str, f: Callable, oracle: Callable, distinct: bool = False) -> None:
    """An operation that makes fewer numbers of many, over drawn axes.  distinct: where ties would have no slope."""

    @st.composite
    def drawn(draw: Draw) -> Case:
        shape, keepdims = draw(shapes(0, 4)), draw(st.booleans())
        axis = draw(axes_of(len(shape)))
        text = f"{name} over {axis}, keepdims={keepdims}"
        return Case(lambda x: f(x, axis, keepdims), draw(arrays(shape, distinct=distinct)),
                    lambda x: oracle(x, axis=axis, keepdims=keepdims), text)  # fmt: skip

    CASES[name] = drawn()


reduction("sum", ops.sum, np.sum)
reduction("mean", ops.mean, np.mean)
reduction("max", ops.max, np.max, distinct=True)
reduction("min", ops.min, np.min, distinct=True)
reduction("prod", ops.prod, np.prod)
reduction("var", ops.var, np.var)
reduction("std", ops.std, np.std, distinct=True)
reduction("logsumexp", ops.logsumexp, lambda x, **over: np.log(np.exp(x).sum(**over)))
reduction("norm", ops.norm, lambda x, **over: np.sqrt((x * x).sum(**over)))


@case
def index(draw: Draw) -> Case:
    shape = draw(shapes(1, 4))
    kind = draw(st.sampled_from(["basic", "arrays", "mixed", "mask"]))

    def one(n: int, basic: bool) -> Any:
        if not basic:
            return np.array(draw(st.lists(st.integers(-n, n - 1), min_size=2, max_size=2)))
        start, step = draw(st.integers(0, n - 1)), draw(st.sampled_from([1, -1, 2]))
        return draw(st.sampled_from([draw(st.integers(-n, n - 1)), slice(start, None, step), slice(None)]))

    if kind == "mask":
        bits = draw(st.lists(st.booleans(), min_size=(n := int(np.prod(shape))), max_size=n))
        key: Any = np.array(bits).reshape(shape)
    else:
        picks = [one(n, kind == "basic" or (kind == "mixed" and draw(st.booleans()))) for n in shape]
        cut = draw(st.integers(0, len(picks)))
        extra = [Ellipsis] if draw(st.booleans()) else []
        new = [None] if kind == "basic" and draw(st.booleans()) else []
        key = tuple(picks[:cut] + extra + new) if not extra else tuple(extra + picks[cut:] + new)
    return Case(lambda x: x[key] * 1.0, draw(arrays(shape)), lambda x: x[key] * 1.0, f"x[{key}]")


@case
def repeated_index(draw: Draw) -> Case:
    n = draw(st.integers(1, 4))
    rows = np.array(draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=6)))
    return Case(lambda x: x[rows], draw(arrays((n, 2))), lambda x: x[rows], f"rows {rows}")


@case
def concatenate(draw: Draw) -> Case:
    shape = draw(shapes(1, 3))
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    before, after = draw(arrays(shape)), draw(arrays(shape))
    return Case(lambda x: ops.concatenate([before, x * x, after, x], axis), draw(arrays(shape)),
                lambda x: np.concatenate([before, x * x, after, x], axis), f"axis {axis}")  # fmt: skip


@case
def stack(draw: Draw) -> Case:
    shape = draw(shapes(0, 3))
    axis = draw(st.integers(-len(shape) - 1, len(shape)))
    other = draw(arrays(shape)) if shape else 0.5  # numbers among arrays of shape ()
    return Case(lambda x: ops.stack([x, other, x * x], axis), draw(arrays(shape)),
                lambda x: np.stack([x, other, x * x], axis), f"axis {axis}")  # fmt: skip


@case
def matmul(draw: Draw) -> Case:
    n, m, k = draw(st.tuples(*[st.integers(1, 3)] * 3))
    stacks = draw(broadcastable(2))
    first = draw(st.sampled_from([(m,), (n, m), (*stacks[0], n, m)]))
    second = draw(st.sampled_from([(m,), (m, k), (*stacks[1], m, k)]))
    a, b = draw(arrays(first)), draw(arrays(second))
    if draw(st.booleans()):
        return Case(lambda x: x @ b, a, lambda x: x @ b, f"{first} @ {second}, first")
    return Case(lambda x: a @ x, b, lambda x: a @ x, f"{first} @ {second}, second")


@case
def gram(draw: Draw) -> Case:
    shape = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    return Case(lambda x: ops.matmul(x, x.T), draw(arrays(shape)), lambda x: x @ x.T, "x·xᵀ")


@case
def prod_with_zeros(draw: Draw) -> Case:
    shape = draw(shapes(1, 3))
    bits = draw(st.lists(st.booleans(), min_size=(n := int(np.prod(shape))), max_size=n))
    axis = draw(axes_of(len(shape)))
    x = draw(arrays(shape)) * np.array(bits).reshape(shape)
    return Case(lambda x: ops.prod(x, axis), x, lambda x: np.prod(x, axis), f"over {axis}")


@case
def dot(draw: Draw) -> Case:
    n, m, k = draw(st.tuples(*[st.integers(1, 3)] * 3))
    first, second = draw(st.sampled_from([((), (n, m)), ((m,), (m,)), ((m,), ()), ((n, m), (m,)), ((n, m), (m, k))]))
    a, b = draw(arrays(first)), draw(arrays(second))
    if draw(st.booleans()):
        return Case(lambda x: ops.dot(x, b), a, lambda x: np.dot(x, b), f"{first} · {second}, first")
    return Case(lambda x: ops.dot(a, x), b, lambda x: np.dot(a, x), f"{first} · {second}, second")


#: Matrix products, outer and elementwise ones, sums, diagonals; in pairs, alone and three at a time; dots.
SUBSCRIPTS = ["ij,jk->ik", "ij,jk", "ji", "ij->j", "ij->", "ii", "ii->i", "iij,kj->ki", "ij,ij->ij", "i,j->ji",
              "i,ij->", "bij,bjk->bki", "ij,ik,il->jkl", "ij,jk,kl->il", ",i->i", "...ij,...jk->...ik", "i...,...",
              "b...,i->b..."]  # fmt: skip


@case
def einsum(draw: Draw) -> Case:
    """As a function of one of the operands, or of one that stands in the place of all that have its shape."""
    subscripts = draw(st.sampled_from(SUBSCRIPTS))
    lengths = {letter: draw(st.integers(1, 3)) for letter in "bijkl"}
    dots = draw(shapes(0, 2))

    def shape(word: str) -> tuple[int, ...]:
        shared = tuple(draw(st.sampled_from([n, 1])) for n in dots[draw(st.integers(0, len(dots))) :])
        before, ellipsis, after = word.partition("...")
        return (*(lengths[c] for c in before), *(shared if ellipsis else ()), *(lengths[c] for c in after))

    operands = [draw(arrays(shape(word))) for word in subscripts.split("->")[0].split(",")]
    which, several = draw(st.integers(0, len(operands) - 1)), draw(st.booleans())
    x = operands[which]
    ours = [i == which or (several and operand.shape == x.shape) for i, operand in enumerate(operands)]

    def among(x: Any) -> list[Any]:
        return [x if mine else operand for mine, operand in zip(ours, operands)]

    return Case(lambda x: ops.einsum(subscripts, *among(x)), x, lambda x: np.einsum(subscripts, *among(x)),
                f"{subscripts}, {[operand.shape for operand in operands]}, {ours}")  # fmt: skip


# --- changes of shape ------------------------------------------------------------------------------------


@case
def swapaxes(draw: Draw) -> Case:
    shape = draw(shapes(1, 4))
    pair = [draw(st.integers(-len(shape), len(shape) - 1)) for _ in range(2)]
    return Case(lambda x: x.swapaxes(*pair) * 1.0, draw(arrays(shape)), lambda x: np.swapaxes(x, *pair), f"{pair}")


@case
def squeeze(draw: Draw) -> Case:
    shape = draw(shapes(0, 4))
    ones = [i for i, n in enumerate(shape) if n == 1]
    axis = draw(st.sampled_from([None, tuple(ones), *ones, *(i - len(shape) for i in ones)]))
    return Case(lambda x: ops.squeeze(x, axis), draw(arrays(shape)), lambda x: np.squeeze(x, axis), f"{axis}")


@case
def expand_dims(draw: Draw) -> Case:
    shape = draw(shapes(0, 3))
    one = draw(st.integers(-len(shape) - 1, len(shape)))
    axis = draw(st.sampled_from([one, (0, -1), (1, 0), ()]))
    return Case(lambda x: ops.expand_dims(x, axis), draw(arrays(shape)), lambda x: np.expand_dims(x, axis), f"{axis}")


@case
def ravel(draw: Draw) -> Case:
    return Case(lambda x: ops.ravel(x) * x.flatten(), draw(arrays(draw(shapes(0, 3)))), lambda x: x.ravel() ** 2, "")


@case
def flip(draw: Draw) -> Case:
    shape = draw(shapes(0, 3))
    axis = draw(axes_of(len(shape)))
    return Case(lambda x: ops.flip(x, axis), draw(arrays(shape)), lambda x: np.flip(x, axis), f"{axis}")


@case
def pad(draw: Draw) -> Case:
    shape = draw(shapes(1, 3))
    ends = st.tuples(st.integers(0, 2), st.integers(0, 2))
    width = draw(st.one_of(st.integers(0, 2), ends, st.tuples(*[ends] * len(shape))))
    value = draw(st.sampled_from([0.0, -1.5]))
    return Case(lambda x: ops.pad(x, width, value), draw(arrays(shape)),
                lambda x: np.pad(x, width, constant_values=value), f"{width}, {value}")  # fmt: skip


@case
def repeat(draw: Draw) -> Case:
    shape = draw(shapes(1, 3))
    axis = draw(st.sampled_from([None, *range(-len(shape), len(shape))]))
    length = int(np.prod(shape)) if axis is None else shape[axis]
    counts = draw(st.one_of(st.integers(0, 3), st.lists(st.integers(0, 2), min_size=length, max_size=length)))
    return Case(lambda x: ops.repeat(x, counts, axis), draw(arrays(shape)), lambda x: np.repeat(x, counts, axis),
                f"{counts} along {axis}")  # fmt: skip


@case
def astype(draw: Draw) -> Case:
    """To a wider dtype and back: in a narrower one, differences of 10⁻⁶ would be lost."""
    return Case(lambda x: ops.astype(x.astype("longdouble") * x, x.dtype), draw(arrays(draw(shapes(0, 3)))),
                lambda x: x * x, "squared as long doubles")  # fmt: skip


@case
def stop_gradient(draw: Draw) -> Case:
    """Where it makes no difference: log Σe^x does not depend on what is taken out of x and put back."""
    x = draw(arrays(draw(shapes(1, 3)), distinct=True))

    def scaled(x: Any) -> Any:
        greatest = ops.stop_gradient(ops.max(x, axis=-1, keepdims=True))
        return ops.log(ops.sum(ops.exp(x - greatest), axis=-1, keepdims=True)) + greatest

    return Case(scaled, x, lambda x: np.log(np.exp(x).sum(axis=-1, keepdims=True)), "log Σe^x")
