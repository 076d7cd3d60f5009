"""Products over named axes, `einsum`, and NumPy's `dot`.

Neither has a rule of its own: each is made of transposes, sums, elementwise and matrix products of `ops`, and can be
used from there.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Sequence

from . import ops
from .backend import namespace
from .core import Array, unbox
from .errors import DTypeError, RangeError, ShapeError

#: Names of axes: letters; and for axes that dots stand for, their number from the end, -1 for the last.
Letters = Sequence[str | int]


def dot(a: Array, b: Array) -> Array:
    """NumPy's dot of numbers, vectors and matrices: a·b for a number, Σ_k a_k b_k for vectors, else a @ b.

    a, b: of rank 0, 1 or 2.  `ShapeError` for higher ranks, where `dot` and `@` differ, and for lengths that do not
    fit.

    >>> import numpy as np
    >>> from minidl import ops
    >>> float(ops.dot(np.array([1.0, 2.0]), np.array([3.0, 4.0])))
    11.0
    """
    ranks = [getattr(x, "ndim", 0) for x in (a, b)]
    if max(ranks) > 2:
        fix = "use a @ b for stacks of matrices, or ops.einsum, which says what is summed over"
        raise ShapeError("dot", "numbers, vectors or matrices", f"arrays of ranks {ranks[0]} and {ranks[1]}", fix)
    return ops.multiply(a, b) if 0 in ranks else ops.matmul(a, b)


def einsum(subscripts: str, *operands: Array) -> Array:
    """Sums of products over named axes (Einstein's convention): ``einsum("ij,jk->ik", a, b)`` is a @ b.

    subscripts: a letter for each axis of each operand, with a comma between operands.  After ``->`` stand the axes of
    the result; all others are summed over.  Without ``->`` the result has the letters that occur once, in alphabetical
    order.  A letter twice in one operand takes the diagonal: ``"ii->"`` is the trace.  ``...`` stands for any number of
    further axes, which are broadcast.
    operands: floating-point arrays.  They are multiplied two at a time, from the left, so that their order decides the
    cost.

    Raises: `DTypeError` for subscripts that are not text, `RangeError` for subscripts that cannot be parsed,
    `ShapeError` for operands that do not fit them.

    >>> import numpy as np
    >>> from minidl import ops
    >>> ops.einsum("ij,ij->i", np.ones((2, 3)), np.ones((2, 3)))
    array([3., 3.])
    """
    named, result = _parsed(subscripts, operands)
    lengths = _lengths(subscripts, operands, named)
    pieces = [_once_each(x, letters, lengths) for x, letters in zip(operands, named)]
    joined, letters = pieces[0]
    for i, (piece, others) in enumerate(pieces[1:], start=2):
        needed = {*result, *(letter for _, later in pieces[i:] for letter in later)}
        joined, letters = _joined(joined, letters, piece, others, needed)
    joined, letters = _summed(joined, letters, result)
    return _ordered(joined, letters, result)


# --- parsing the subscripts - -------------------------------------------------------------------------------


def _parsed(subscripts: str, operands: Sequence[Array]) -> tuple[list[Letters], Letters]:
    """The letters of each operand and of the result."""
    if not isinstance(subscripts, str):
        raise DTypeError("einsum", "subscripts such as 'ij,jk->ik' first", type(subscripts).__name__)
    text, arrow, right = subscripts.replace(" ", "").partition("->")
    words = text.split(",")
    for word in [*words, right]:
        rest = word.replace("...", "", 1)
        if rest and not (rest.isascii() and rest.isalpha()):
            raise RangeError("einsum", "letters, commas, '...' and one '->'", repr(subscripts))
    if len(words) != len(operands):
        raise ShapeError("einsum", f"{len(words)} operands for {subscripts!r}", f"{len(operands)}")
    named = [_letters(subscripts, word, getattr(x, "ndim", 0)) for word, x in zip(words, operands)]
    dots = min((letter for letters in named for letter in letters if isinstance(letter, int)), default=0)
    counts = Counter(letter for word in words for letter in word.replace("...", ""))
    implied = "..." * (dots < 0) + "".join(sorted(letter for letter, n in counts.items() if n == 1))
    word = right if arrow else implied
    result = _letters(subscripts, word, len(word.replace("...", "")) - dots if "..." in word else len(word))
    if len(set(result)) < len(result) or not set(result) <= {*counts, *range(dots, 0)}:
        raise RangeError("einsum", "letters of the operands, each once, behind '->'", repr(subscripts))
    if dots and "..." not in word:
        raise RangeError(
            "einsum", "'...' behind '->', too", repr(subscripts), "name the axes that are to be summed over"
        )
    return named, result


def _letters(subscripts: str, word: str, rank: int) -> Letters:
    """One name for each axis of an operand."""
    before, dots, after = word.partition("...")
    hidden = rank - len(before) - len(after)
    if hidden < 0 or (hidden and not dots):
        expected = f"an operand of rank {len(before + after)} for {word!r} in {subscripts!r}"
        fix = "write one letter for each axis, or '...' for those that need none"
        raise ShapeError("einsum", expected, f"rank {rank}", fix)
    return [*before, *range(-hidden, 0), *after]


def _lengths(subscripts: str, operands: Sequence[Array], named: Sequence[Letters]) -> dict[str | int, int]:
    """The length of each axis by its letter, the same wherever that stands; behind dots also 1."""
    lengths: dict[str | int, int] = {}
    for x, letters in zip(operands, named):
        for letter, n in zip(letters, getattr(x, "shape", ())):
            known = lengths.get(letter, n)
            if isinstance(letter, int) and 1 in (n, known):
                n = known if n == 1 else n
            elif n != known:
                what = f"'{letter}'" if isinstance(letter, str) else "'...'"
                shapes = " and ".join(str(getattr(x, "shape", ())) for x in operands)
                expected = f"one length for {what} in {subscripts!r}"
                raise ShapeError("einsum", expected, f"{known} and {n}, of shapes {shapes}")
            lengths[letter] = n
    return lengths


# --- what is done with the operands ------------------------------------------------------------------------


def _once_each(x: Array, letters: Letters, lengths: dict[str | int, int]) -> tuple[Array, Letters]:
    """The diagonal where a letter stands twice, and no axes that are only there to be broadcast."""
    if len(set(letters)) < len(letters):
        once = list(dict.fromkeys(letters))
        xp, aside = namespace(unbox(x)), [len(once) - 1 - once.index(letter) for letter in letters]
        x = ops.index(x, tuple(xp.arange(n).reshape((n,) + (1,) * k) for n, k in zip(x.shape, aside)))
        letters = once
    kept = [letter for letter, n in zip(letters, getattr(x, "shape", ())) if n == lengths[letter]]
    return (ops.reshape(x, [lengths[letter] for letter in kept]), kept) if len(kept) < len(letters) else (x, letters)


def _joined(a: Array, of_a: Letters, b: Array, of_b: Letters, needed: Collection[str | int]) -> tuple[Array, Letters]:
    """The product of two operands, summed over the axes that nothing else needs."""
    a, of_a = _summed(a, of_a, {*needed, *of_b})
    b, of_b = _summed(b, of_b, {*needed, *of_a})
    both = [letter for letter in of_a if letter in of_b]
    shared = [letter for letter in both if letter in needed]
    summed = [letter for letter in both if letter not in needed]
    rows, columns = ([letter for letter in each if letter not in both] for each in (of_a, of_b))
    if not summed:
        letters = [*shared, *rows, *columns]
        return ops.multiply(_aligned(a, of_a, letters), _aligned(b, of_b, letters)), letters
    a, b = _ordered(a, of_a, [*shared, *rows, *summed]), _ordered(b, of_b, [*shared, *summed, *columns])
    stack, across = a.shape[: len(shared)], b.shape[len(both) :]
    down, inner = a.shape[len(shared) : len(of_a) - len(summed)], math.prod(a.shape[len(of_a) - len(summed) :])
    a, b = ops.reshape(a, (*stack, math.prod(down), inner)), ops.reshape(b, (*stack, inner, math.prod(across)))
    return ops.reshape(ops.matmul(a, b), (*stack, *down, *across)), [*shared, *rows, *columns]


def _summed(x: Array, letters: Letters, needed: Collection[str | int]) -> tuple[Array, Letters]:
    """Without the axes that nothing else needs."""
    gone = tuple(i for i, letter in enumerate(letters) if letter not in needed)
    return (ops.sum(x, gone), [letter for letter in letters if letter in needed]) if gone else (x, letters)


def _ordered(x: Array, letters: Letters, wanted: Letters) -> Array:
    """With its axes in the wanted order."""
    order = [list(letters).index(letter) for letter in wanted]
    return x if order == list(range(len(order))) else ops.transpose(x, order)


def _aligned(x: Array, letters: Letters, wanted: Letters) -> Array:
    """With its axes in the wanted order, and one of length 1 for each that it lacks."""
    x = _ordered(x, letters, [letter for letter in wanted if letter in letters])
    lengths = iter(getattr(x, "shape", ()))
    shape = tuple(next(lengths) if letter in letters else 1 for letter in wanted)
    return ops.reshape(x, shape) if len(letters) < len(wanted) and hasattr(x, "shape") else x
