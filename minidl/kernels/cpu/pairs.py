"""The search of JSMA for the best feature or pair, compiled.

Without sorting: the product of one pair rules out almost all features, by a bound for each, and the few that are left
are compared in pairs.  Agrees with `reference/pairs.py` to the bit, ties included.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import threads
from .compiled import compiled, twin

Array = Any
STEPS = 8  # of the bounds; with 8 a handful of LeNet's 784 features is left


@compiled(relaxed=False)
def _best_features(first, last, a, b, domain, out):
    """Eq. 8's arg max for rows first … last."""
    for n in range(first, last):
        best, out[n, 0] = a.dtype.type(0), -1
        for i in range(a.shape[1]):
            if domain[n, i] and a[n, i] > 0 and b[n, i] > 0 and a[n, i] * b[n, i] > best:
                best, out[n, 0] = a[n, i] * b[n, i], i


@compiled(relaxed=False)
def _products(a, b, with_a, with_b, out):
    """out[p] = (a_p + with_a)(b_p + with_b), or -1 where one of the sums is not positive."""
    for p in range(len(a)):
        up, down = a[p] + with_a, b[p] + with_b
        out[p] = up * down if (up > 0) & (down > 0) else a.dtype.type(-1)


@compiled(relaxed=False)
def _greatest(v, half):
    """max v, which is folded in two again and again in the memory of `half`: one running maximum could not be
    computed several numbers at a time."""
    left = (len(v) + 1) // 2
    for i in range(left):
        half[i] = v[i]
    high = v[left:]
    while True:
        for i in range(len(high)):
            half[i] = high[i] if high[i] > half[i] else half[i]
        if left == 1:
            return half[0]
        high, left = half[(left + 1) // 2 : left], (left + 1) // 2


@compiled(relaxed=False)
def _where(v, value):
    """The first place of a value; the last place if it is absent, as NaN always is."""
    for i in range(len(v)):
        if v[i] == value:
            return i
    return len(v) - 1


@compiled(relaxed=False)
def _ranks_before(a, b, p, q):
    """Whether p comes before q: by a, greatest first; of equal a by b, greatest first; then by number."""
    if a[p] != a[q]:
        return a[p] > a[q]
    if b[p] != b[q]:
        return b[p] > b[q]
    return p < q


@compiled(relaxed=False)
def _bounds(a, b, products, half, bound):
    """For each feature a number that no product with it exceeds.

    A partner q has its a in one of the steps from -max a to max a (with less, no sum is positive).  If it is at
    least `low` and at most `high`, its b is at most the greatest of all with an a of at least `low`.  So
    (a_p + high)(b_p + that b) is a bound for partners of this step; rounding keeps the order.
    """
    top, nothing = _greatest(a, half), a.dtype.type(-np.inf)
    bound[:] = -1
    if not top > 0:  # no sum is positive
        return
    for k in range(STEPS):
        low, high = top * a.dtype.type(2 * k / STEPS - 1), top * a.dtype.type(2 * (k + 1) / STEPS - 1)
        for q in range(len(b)):
            products[q] = b[q] if a[q] >= low else nothing
        _products(a, b, high, _greatest(products, half), products)
        for p in range(len(b)):
            bound[p] = products[p] if products[p] > bound[p] else bound[p]


@compiled(relaxed=False)
def _candidates(a, b, bound, products, half, kept):
    """The features that the best pair can be made of, into `kept`; how many they are.

    A feature is ruled out if its bound is less than the product of some pair.
    """
    _bounds(a, b, products, half, bound)
    reached = a.dtype.type(0)
    p = _where(bound, _greatest(bound, half))
    for _ in range(3):  # from a promising feature to its best partner, and to the partner's
        _products(a, b, a[p], b[p], products)
        products[p] = -1
        top = _greatest(products, half)
        reached, p = max(reached, top), _where(products, top)
    count = 0
    for p in range(len(a)):
        if bound[p] >= reached:
            kept[count] = p
            count += 1
    return count


@compiled(relaxed=False)
def _best_of_candidates(a, b, names, products, half):
    """The best pair of features with these gradients, by their names; of equal products the one that ranks first."""
    best, one, other = a.dtype.type(0), -1, -1
    for i in range(len(a) - 1):
        later = products[: len(a) - 1 - i]
        _products(a[i + 1 :], b[i + 1 :], a[i], b[i], later)
        top = _greatest(later, half)
        if top < best:
            continue
        for j in range(i + 1, len(a)):
            if later[j - i - 1] == top:
                p, q = (j, i) if _ranks_before(a, b, j, i) else (i, j)
                first = one < 0 or _ranks_before(a, b, p, one) or (p == one and _ranks_before(a, b, q, other))
                if top > best or first:
                    best, one, other = top, p, q
    return (names[one], names[other]) if one >= 0 else (-1, -1)


@compiled(relaxed=False)
def _best_pairs(first, last, a, b, domain, out):
    """The best pair of rows first … last."""
    features, none = a.shape[1], a.dtype.type(-np.inf)
    ups, downs, bound = np.empty(features, a.dtype), np.empty(features, a.dtype), np.empty(features, a.dtype)
    products, half, kept = np.empty(features, a.dtype), np.empty(features, a.dtype), np.empty(features, np.int64)
    for n in range(first, last):
        for i in range(features):  # what is not in the domain is in no pair
            ups[i], downs[i] = a[n, i] if domain[n, i] else none, b[n, i] if domain[n, i] else none
        count = _candidates(ups, downs, bound, products, half, kept)
        for i in range(count):
            ups[i], downs[i] = ups[kept[i]], downs[kept[i]]
        out[n] = _best_of_candidates(ups[:count], downs[:count], kept, products, half)


def _searched(search: Any, a: Array, b: Array, domain: Array, width: int) -> Array:
    out = np.empty((len(a), width), np.int64)
    arrays = (np.ascontiguousarray(a), np.ascontiguousarray(b), np.ascontiguousarray(domain))
    threads.share(search, len(a), 10 * a.size, *arrays, out)
    return out


@twin(integers=True, alike=True)
def best_features(a: Array, b: Array, domain: Array) -> Array:
    return _searched(_best_features, a, b, domain, 1)


@twin(integers=True, alike=True)
def best_pairs(a: Array, b: Array, domain: Array) -> Array:
    return _searched(_best_pairs, a, b, domain, 2)
