"""The search of JSMA for the best feature, or pair of features, as plain array code.

a (N, M) is how much each feature increases the target's logit, b how much it decreases the sum of the others.
"""

from __future__ import annotations

from typing import Any

from .. import library

Array = Any


def saliency(a: Array, b: Array, domain: Array) -> Array:
    """Papernot et al. 2016, eq. 8, for a = ∂Z_t/∂x and b = -Σ_{j≠t} ∂Z_j/∂x, (..., M): a·b where both are
    positive and the feature is in the domain, else 0."""
    return a * b * ((a > 0) & (b > 0) & domain)


def best_features(a: Array, b: Array, domain: Array) -> Array:
    """The most salient feature of each row, of equal ones the first: (N, 1), -1 where no saliency is positive."""
    s = saliency(a, b, domain)
    return library(a).where(s.max(axis=1, keepdims=True) > 0, s.argmax(axis=1)[:, None], -1)


def best_pairs_by_definition(a: Array, b: Array, domain: Array) -> Array:
    """Of all pairs p, q of features with a_p + a_q > 0 and b_p + b_q > 0, the one with the greatest product of the two.

    a, b (N, M), domain (N, M) bool: which features may be chosen -> (N, 2), or (-1, -1) where no pair is valid.
    Features are ranked by a, then by b, then by their number; of equal pairs the one with the best features in
    that order is taken, (first, second) lexicographically.  The specification of `best_pairs`, O(M²).
    """
    xp, order = library(a), _ranked(a, b)
    a, b = (xp.take_along_axis(v, order, axis=1) for v in (a, b))
    domain = xp.take_along_axis(domain, order, axis=1)
    sum_a, sum_b = a[:, :, None] + a[:, None, :], b[:, :, None] + b[:, None, :]
    later = xp.arange(a.shape[1])[:, None] < xp.arange(a.shape[1])
    valid = later & domain[:, :, None] & domain[:, None, :] & (sum_a > 0) & (sum_b > 0)
    products = xp.where(valid, sum_a * sum_b, -1).reshape(len(a), -1)
    best = products.argmax(axis=1)[:, None]
    places = xp.concatenate([best // a.shape[1], best % a.shape[1]], axis=1)
    return xp.where(xp.take_along_axis(products, best, axis=1) < 0, -1, xp.take_along_axis(order, places, axis=1))


def best_pairs(a: Array, b: Array, domain: Array) -> Array:
    """As `best_pairs_by_definition`, bit for bit, in O(M log M).

    A feature is *dominated* by an earlier one in the ranking that has b at least as large (its a is at least as
    large already).  If two features dominate p, one of them is not p's partner and can take its place: the pair
    is no worse and comes earlier.  So both features of the best pair are dominated by at most one other, and
    only such candidates, typically a few dozen, are compared in pairs.
    """
    xp, infinity = library(a), float("inf")
    a, b = xp.where(domain, a, -infinity), xp.where(domain, b, -infinity)
    order = _ranked(a, b)
    a, b = xp.take_along_axis(a, order, axis=1), xp.take_along_axis(b, order, axis=1)
    largest = _running_max(b)
    runner_up = _running_max(xp.minimum(b[:, 1:], largest[:, :-1]))  # the second largest so far
    candidate = b > -infinity
    candidate[:, 2:] &= b[:, 2:] > runner_up[:, :-1]
    out = xp.full((len(a), 2), -1)
    counts = candidate.sum(axis=1)
    for rows in _alike(counts):
        width = int(counts[rows].max())
        places = (~candidate[rows]).argsort(axis=1, kind="stable")[:, :width]  # the candidates, in their order
        known = xp.take_along_axis(candidate[rows], places, axis=1)
        some_a, some_b = (xp.where(known, xp.take_along_axis(v[rows], places, axis=1), -infinity) for v in (a, b))
        pairs = _best_of_candidates(some_a, some_b)
        chosen = xp.take_along_axis(order[rows], xp.take_along_axis(places, pairs, axis=1), axis=1)
        out[rows] = xp.where(pairs < 0, -1, chosen)
    return out


def _ranked(a: Array, b: Array) -> Array:
    """The features of each row by a, greatest first; of equal a by b, greatest first; then by their number."""
    xp, by_b = library(a), (-b).argsort(axis=1, kind="stable")
    by_a = xp.take_along_axis(-a, by_b, axis=1).argsort(axis=1, kind="stable")
    return xp.take_along_axis(by_b, by_a, axis=1)


def _running_max(v: Array) -> Array:
    """max(v[:, 0], …, v[:, i]) for every i, by steps of 1, 2, 4, …"""
    v, step = v.copy(), 1
    while step < v.shape[1]:
        v[:, step:] = library(v).maximum(v[:, step:], v[:, :-step])
        step *= 2
    return v


def _alike(counts: Array) -> Any:
    """The numbers of the rows, in groups of which no count is more than twice another."""
    xp, least = library(counts), 1
    while counts.size and least <= int(counts.max()):
        rows = xp.nonzero((counts >= least) & (counts < 2 * least))[0]
        if len(rows):
            yield rows
        least *= 2


def _best_of_candidates(a: Array, b: Array, budget: int = 2**20) -> Array:
    """The best pair of each row of ranked candidates (N, C), or (-1, -1).  About `budget` pairs at a time."""
    xp, (n, width) = library(a), a.shape
    best, pairs = xp.full(n, -1, dtype=a.dtype), xp.full((n, 2), -1)
    rows = max(1, budget // width**2)
    height = max(1, min(width, budget // (rows * width)))
    for r in range(0, n, rows):
        for p in range(0, width, height):
            sum_a = a[r : r + rows, p : p + height, None] + a[r : r + rows, None, p:]
            sum_b = b[r : r + rows, p : p + height, None] + b[r : r + rows, None, p:]
            later = xp.arange(sum_a.shape[1])[:, None] < xp.arange(sum_a.shape[2])
            products = xp.where(later & (sum_a > 0) & (sum_b > 0), sum_a * sum_b, -1).reshape(len(sum_a), -1)
            winner = products.argmax(axis=1)
            product = xp.take_along_axis(products, winner[:, None], axis=1)[:, 0]
            better = product > best[r : r + rows]
            place = xp.stack([p + winner // sum_a.shape[2], p + winner % sum_a.shape[2]], axis=1)
            best[r : r + rows] = xp.where(better, product, best[r : r + rows])
            pairs[r : r + rows] = xp.where(better[:, None], place, pairs[r : r + rows])
    return pairs
