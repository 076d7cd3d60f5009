"""The search of JSMA for the best feature or pair, compiled.  A part of `cpu`.

No sorting: a product that some pair reaches rules out almost all features, and the few that are left are compared
in pairs.  Agrees with `reference_pairs` to the bit, ties included.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import threads
from .compiled import compiled, twin

Array = Any


@compiled(relaxed=False)
def _best_features(first, last, a, b, domain, found):
    """Eq. 8's arg max for rows first … last."""
    for n in range(first, last):
        best, found[n, 0] = a.dtype.type(0), -1
        for i in range(a.shape[1]):
            if domain[n, i] and a[n, i] > 0 and b[n, i] > 0 and a[n, i] * b[n, i] > best:
                best, found[n, 0] = a[n, i] * b[n, i], i


@compiled(relaxed=False)
def _products(a, b, with_a, with_b, found):
    """found[p] = (a_p + with_a)(b_p + with_b), or -1 where one of the sums is not positive."""
    for p in range(len(a)):
        up, down = a[p] + with_a, b[p] + with_b
        found[p] = up * down if (up > 0) & (down > 0) else a.dtype.type(-1)


@compiled("maximum")
def _greatest(v):
    """max v, of numbers that are none of them NaN."""
    top = v[0]
    for i in range(len(v)):
        top = v[i] if v[i] > top else top
    return top


@compiled(relaxed=False)
def _where(v, value):
    """The first place of a value that is there."""
    i = 0
    while v[i] != value:
        i += 1
    return i


@compiled(relaxed=False)
def _ranks_before(a, b, p, q):
    """Whether p comes before q: by a, greatest first; of equal a by b, greatest first; then by number."""
    if a[p] != a[q]:
        return a[p] > a[q]
    if b[p] != b[q]:
        return b[p] > b[q]
    return p < q


@compiled(relaxed=False)
def _candidates(a, b, bound, products, kept):
    """The features that the best pair can be made of, into `kept`; how many they are.

    With A and B the greatest a and b, bound_p = (a_p + A)(b_p + B) is at least any product that p has a part in;
    rounding keeps the order.  So p is ruled out if that is less than the product of some pair.
    """
    _products(a, b, _greatest(a), _greatest(b), bound)
    reached = a.dtype.type(-1)
    p = _where(bound, _greatest(bound))
    for _ in range(3):  # from a promising feature to its best partner, and to the partner's
        _products(a, b, a[p], b[p], products)
        products[p] = -1
        reached = max(reached, _greatest(products))
        p = _where(products, _greatest(products))
    count = 0
    for p in range(len(a)):
        if bound[p] >= reached and bound[p] >= 0:
            kept[count] = p
            count += 1
    return count


@compiled(relaxed=False)
def _best_pairs(first, last, a, b, domain, found):
    """The best pair of rows first … last, in the order of the ranking; of equal products the one that ranks first."""
    features, none = a.shape[1], a.dtype.type(-np.inf)
    ups, downs, bound, products = np.empty((4, features), a.dtype)
    kept = np.empty(features, np.int64)
    for n in range(first, last):
        for i in range(features):  # what is not in the domain is in no pair
            ups[i], downs[i] = a[n, i] if domain[n, i] else none, b[n, i] if domain[n, i] else none
        best, one, other = a.dtype.type(-1), -1, -1
        count = _candidates(ups, downs, bound, products, kept)
        for i in range(count):
            for j in range(i + 1, count):
                p, q = kept[i], kept[j]
                up, down = ups[p] + ups[q], downs[p] + downs[q]
                product = up * down if up > 0 and down > 0 else a.dtype.type(-1)
                if product < best or product < 0:
                    continue
                if _ranks_before(ups, downs, q, p):
                    p, q = q, p
                if (
                    product > best
                    or _ranks_before(ups, downs, p, one)
                    or (p == one and _ranks_before(ups, downs, q, other))
                ):
                    best, one, other = product, p, q
        found[n, 0], found[n, 1] = one, other


def _searched(search: Any, a: Array, b: Array, domain: Array, width: int) -> Array:
    found = np.empty((len(a), width), np.int64)
    arrays = (np.ascontiguousarray(a), np.ascontiguousarray(b), np.ascontiguousarray(domain))
    threads.spread(search, len(a), 10 * a.size, *arrays, found)
    return found


@twin
def best_features(a: Array, b: Array, domain: Array) -> Array:
    return _searched(_best_features, a, b, domain, 1)


@twin
def best_pairs(a: Array, b: Array, domain: Array) -> Array:
    return _searched(_best_pairs, a, b, domain, 2)
