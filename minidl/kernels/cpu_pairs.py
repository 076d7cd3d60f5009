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
def _product(a, b, p, q):
    """(a_p + a_q)(b_p + b_q), or -1 where one of the sums is not positive."""
    up, down = a[p] + a[q], b[p] + b[q]
    return up * down if up > 0 and down > 0 else a.dtype.type(-1)


@compiled(relaxed=False)
def _partner(a, b, domain, p):
    """The best partner for p, and the product with it; p itself if there is none."""
    best, partner = a.dtype.type(-1), p
    for q in range(len(a)):
        if domain[q] and q != p:
            product = _product(a, b, p, q)
            if product > best:
                best, partner = product, q
    return partner, best


@compiled(relaxed=False)
def _ranks_before(a, b, p, q):
    """Whether p comes before q: by a, greatest first; of equal a by b, greatest first; then by number."""
    if a[p] != a[q]:
        return a[p] > a[q]
    if b[p] != b[q]:
        return b[p] > b[q]
    return p < q


@compiled(relaxed=False)
def _candidates(a, b, domain, kept):
    """The features that the best pair can be made of, into `kept`; how many they are.

    With A and B the greatest a and b, (a_p + A)(b_p + B) is at least any product that p has a part in; rounding
    keeps the order.  So p is ruled out if that is less than the product of some pair.
    """
    top_a, top_b = a.dtype.type(-np.inf), a.dtype.type(-np.inf)
    for i in range(len(a)):
        if domain[i]:
            top_a, top_b = max(top_a, a[i]), max(top_b, b[i])
    bound, start = a.dtype.type(-1), -1
    for p in range(len(a)):
        if domain[p] and a[p] + top_a > 0 and b[p] + top_b > 0 and (a[p] + top_a) * (b[p] + top_b) > bound:
            bound, start = (a[p] + top_a) * (b[p] + top_b), p
    if start < 0:
        return 0
    partner, reached = _partner(a, b, domain, start)
    reached = max(reached, _partner(a, b, domain, partner)[1])
    count = 0
    for p in range(len(a)):
        up, down = a[p] + top_a, b[p] + top_b
        if domain[p] and up > 0 and down > 0 and up * down >= reached:
            kept[count] = p
            count += 1
    return count


@compiled(relaxed=False)
def _best_pairs(first, last, a, b, domain, found):
    """The best pair of rows first … last, in the order of the ranking; of equal products the one that ranks first."""
    kept = np.empty(a.shape[1], np.int64)
    for n in range(first, last):
        best, one, other = a.dtype.type(-1), -1, -1
        count = _candidates(a[n], b[n], domain[n], kept)
        for i in range(count):
            for j in range(i + 1, count):
                product = _product(a[n], b[n], kept[i], kept[j])
                if product < best or product < 0:
                    continue
                p, q = kept[i], kept[j]
                if _ranks_before(a[n], b[n], q, p):
                    p, q = q, p
                if (
                    product > best
                    or _ranks_before(a[n], b[n], p, one)
                    or (p == one and _ranks_before(a[n], b[n], q, other))
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
