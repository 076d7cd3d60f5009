"""Task 26: the binary search for c.

Carlini and Wagner minimise  D(δ) + c·f(x + δ):  the distance, plus c times a loss f that is at its least where the
attack succeeds.  With a small c the result is close, but no success; with a large c it succeeds, but is further away
than it need be.  So they search, for each example, for the smallest c that succeeds:

    begin with a small c;
    while no c has succeeded, take 10·c next;
    after the first success, take the middle of [the largest c that failed, the smallest c that succeeded]
                                                                    (Carlini and Wagner 2017, §V, and their program)

Each example of a batch has its own c and its own bracket.  Before any c has failed, the lower end is 0.

Write `search`.  attempt(c) runs the inner attack once, for all n examples: it is given c (n,) and returns

    success (n,) of bool,    distance (n,),    images (n, …)

Call it exactly `steps` times.  Return for each example the smallest distance among all successes and the image that
belongs to it: not that of the last attempt, which may have failed, or may be further away.  An example for which no c
succeeded has the distance np.inf; its image does not matter.
"""

import numpy as np

from minidl.coursework import solve


@solve("search.search")
def search(attempt, n, initial, steps):
    """A function of c (n,), the number of examples, the first c, how many attempts -> distances (n,), images (n, …)."""
    raise NotImplementedError("Call attempt(c) `steps` times; c is ×10 until a success, then the middle of a bracket.")


# --- Below: how it is checked.  Not handed out. ------------------------------------------------------------

from minidl import grad, ops
from minidl.coursework.contests import match
from minidl.coursework.pictures import curves
from minidl.coursework.rules import drawn, st
from minidl.coursework.task import Part, Task


class Attempts:
    """An attempt that succeeds for c of at least a threshold, and notes each c.

    thresholds (n,): the smallest c that succeeds; np.inf for never.
    noisy: whether the distance is a drawn number instead of c itself.
    """

    def __init__(self, thresholds, noisy=None):
        self.thresholds, self.noisy, self.asked = thresholds, noisy, []
        self.drawn, self.distances = [], []

    def __call__(self, c):
        n = len(self.thresholds)
        c = np.array(c, dtype=np.float64)
        if c.shape != (n,):
            raise AssertionError(
                f"attempt was given c of shape {c.shape}; each of the {n} examples has its own: ({n},)"
            )
        self.asked.append(c)
        succeeds = c >= self.thresholds
        distance = c.copy() if self.noisy is None else self.noisy.random(n)
        self.drawn.append(distance)
        self.distances.append(np.where(succeeds, distance, np.inf))
        k = len(self.asked)
        images = np.stack([np.full(n, float(k)), np.arange(float(n)), distance], axis=1)
        return succeeds, distance, images


def asked_for(threshold, initial, steps):
    """Which c the rule leads to for one example."""
    low, high, c, all_c = 0.0, np.inf, initial, []
    for _ in range(steps):
        all_c.append(c)
        low, high = (low, c) if c >= threshold else (c, high)
        c = 10 * c if high == np.inf else (low + high) / 2
    return all_c


def searched(solution, attempts, initial, steps):
    n = len(attempts.thresholds)
    returned = solution["search.search"](attempts, n, initial, steps)
    if not isinstance(returned, tuple | list) or len(returned) != 2:
        raise AssertionError("search should end with: return distances, images")
    distances, pictures = (np.asarray(each) for each in returned)
    if distances.shape != (n,) or len(pictures) != n:
        raise AssertionError(
            f"distances (n,) and images (n, …) are expected for n = {n}; their shapes are {distances.shape} and "
            f"{pictures.shape}"
        )
    if len(attempts.asked) != steps:
        raise AssertionError(
            f"attempt was called {len(attempts.asked)} times; steps is {steps}.  Likely causes: a loop that ends with "
            "the first success; or one call before the loop"
        )
    return distances, pictures


thresholds = st.lists(st.sampled_from([1e-4, 0.003, 0.02, 0.3, 0.7, 4.0, 60.0, 1e9]), min_size=1, max_size=4)


def follows(solution, seed):
    def check(thresholds, initial, steps):
        attempts = Attempts(np.array(thresholds))
        searched(solution, attempts, initial, steps)
        for i, threshold in enumerate(thresholds):
            expected, actual = asked_for(threshold, initial, steps), [float(c[i]) for c in attempts.asked]
            for k in range(steps):
                if abs(actual[k] - expected[k]) > 1e-9 * expected[k]:
                    raise AssertionError(
                        f"example {i}, attempt {k + 1}: c is {actual[k]:g}, and {expected[k]:g} is expected.  "
                        + why(solution, k, threshold, expected, actual)
                    )

    drawn(check, seed, 80, thresholds=thresholds, initial=st.sampled_from([0.01, 1.0]), steps=st.integers(1, 8))


def why(solution, k, threshold, expected, actual):
    before = ", ".join(f"{c:g} {'succeeds' if c >= threshold else 'fails'}" for c in expected[:k]) or "nothing yet"
    alone = Attempts(np.array([threshold]))
    searched(solution, alone, expected[0], len(expected))
    if np.allclose(np.array(alone.asked)[:, 0], expected):
        cause = "one bracket for all: without the other examples of the batch, this one's c are right"
    elif k == 0:
        cause = "the first c is not `initial`"
    elif all(c < threshold for c in expected[:k]):
        cause = "c is not multiplied by 10 while nothing has succeeded"
    elif abs(actual[k] - 10 * expected[k - 1]) < 1e-9 * actual[k]:
        cause = "c is multiplied by 10 although it has succeeded: after a success the upper end is finite"
    elif expected[k - 1] >= threshold:
        cause = "after a success the upper end becomes c, and the lower end stays: the largest c that failed, or 0"
    else:
        cause = "after a failure the lower end becomes c, and the upper end stays: the smallest c that succeeded"
    return f"So far: {before}.  Likely cause: {cause}"


def precise(solution, seed):
    rng = np.random.default_rng(seed)
    edges = 10 ** rng.uniform(-1.5, 1.5, size=30)
    attempts = Attempts(edges)
    distances, _ = searched(solution, attempts, 0.01, 16)
    off = distances - edges
    i = int(np.abs(off).argmax())
    # At most 5 attempts until the first success; the other 11 halve a bracket of at most 100 each.
    if not (-1e-9 <= off[i] <= 100 / 2**11):
        raise AssertionError(
            f"example {i} succeeds from c = {edges[i]:.4f} on; after 16 attempts the smallest c with a success is "
            f"{distances[i]:.4f}.  Likely causes: c only grows; or it goes on ×10 after a success"
        )


def best(solution, seed):
    def check(thresholds, key):
        attempts = Attempts(np.array(thresholds), np.random.default_rng(key))
        distances, pictures = searched(solution, attempts, 0.01, 6)
        least = np.min(attempts.distances, axis=0)
        for i, distance in enumerate(least):
            if distance == np.inf and distances[i] != np.inf:
                raise AssertionError(
                    f"example {i}: no attempt succeeded, so its distance should be inf, and it is {distances[i]:g}.  "
                    "Likely cause: the distances of failures are counted, too"
                )
            if distance == np.inf:
                continue
            each = ", ".join(f"{d:.3f}" for d in np.array(attempts.distances)[:, i])
            if abs(distances[i] - distance) > 1e-9:
                failed = np.array(attempts.distances)[:, i] == np.inf
                counted = np.isclose(np.array(attempts.drawn)[failed, i], distances[i]).any()
                cause = (
                    "the distances of failures are counted, too"
                    if counted
                    else "the last success instead of the best; or one best for the whole batch"
                )
                raise AssertionError(
                    f"example {i}: the successes of all attempts have the distances {each} (inf: failed); the least is "
                    f"{distance:.3f}, and {distances[i]:.3f} was returned.  Likely cause: {cause}"
                )
            if pictures[i][1] != i or abs(pictures[i][2] - distance) > 1e-9:
                raise AssertionError(
                    f"example {i}: the distance is right, but the image is that of attempt {pictures[i][0]:g} for "
                    f"example {pictures[i][1]:g}, with distance {pictures[i][2]:.3f}.  Likely cause: the last images "
                    "instead of those with the least distance"
                )

    drawn(check, seed, 60, thresholds=thresholds, key=st.integers(0, 99))


def inner(net, x, targets, iterations=40):
    """The inner attack of Carlini and Wagner, plain gradient descent on δ, as an attempt."""
    rows = np.arange(len(x))
    one_hot = np.eye(10, dtype=bool)[targets]

    def loss(delta, c):
        z = net(x + delta)
        others = ops.max(ops.where(one_hot, -1e4, z), axis=1)
        f = ops.maximum(others - z[rows, targets], -0.01)
        return ops.sum(ops.reshape(delta * delta, (len(x), -1)).sum(axis=1) + c * f)

    def attempt(c):
        c = np.asarray(c, dtype=np.float32)
        delta = np.zeros_like(x)
        for _ in range(iterations):
            delta = delta - (0.1 / (1 + c))[:, None, None, None] * grad(lambda d: loss(d, c), delta)
            delta = np.clip(x + delta, 0, 1) - x
        after = x + delta
        return net(after).argmax(axis=1) == targets, np.sqrt((delta**2).sum(axis=(1, 2, 3))), after

    return attempt


def by_loops(attempt, n, initial, steps):
    """The search, one example at a time: the least distance at which each succeeds."""
    low, high, c, least = np.zeros(n), np.full(n, np.inf), np.full(n, initial), np.full(n, np.inf)
    for _ in range(steps):
        succeeds, distance, _ = attempt(c.copy())
        for i in range(n):
            low[i], high[i] = (low[i], c[i]) if succeeds[i] else (c[i], high[i])
            least[i] = min(least[i], distance[i]) if succeeds[i] else least[i]
            c[i] = 10 * c[i] if high[i] == np.inf else (low[i] + high[i]) / 2
    return least


def attacks_network(solution, seed):
    net, x, y = match("mlp", 20, seed)
    targets = (y + 1 + np.arange(20) % 9) % 10
    attempt = inner(net, x, targets)
    distances, x_adv = solution["search.search"](attempt, 20, 0.1, 8)
    ours = by_loops(attempt, 20, 0.1, 8)
    reached, expected = np.isfinite(distances), np.isfinite(ours)
    if reached.sum() < expected.sum():
        raise AssertionError(
            f"a real attack on a network: {reached.sum()} of 20 targets are reached, and by a search in plain loops "
            f"{expected.sum()}.  Look at the other parts first"
        )
    wrong = net(np.asarray(x_adv)).argmax(axis=1)[reached] != targets[reached]
    if wrong.any():
        raise AssertionError(
            f"{wrong.sum()} of the images returned are not classified as their target, although their distance is "
            "finite.  Likely cause: the images of another attempt than the distances"
        )
    if distances[expected].mean() > 1.01 * ours[expected].mean():
        raise AssertionError(
            f"a real attack on a network: the mean distance is {distances[expected].mean():.4f}, and by a search in "
            f"plain loops {ours[expected].mean():.4f}.  Likely causes: c only grows; the last success is returned"
        )


def demo(solution, path):
    net, x, y = match("mlp", 6, 5)
    attempt, asked = inner(net, x, (y + 1) % 10), []

    def noting(c):
        asked.append(np.array(c))
        return attempt(c)

    distances, _ = solution["search.search"](noting, 6, 0.01, 10)
    number = np.arange(1, len(asked) + 1)
    lines = {f"{a} to {(a + 1) % 10}: ‖δ‖ = {d:.2f}": (number, c) for a, d, c in zip(y, distances, np.array(asked).T)}
    curves(path, "Each example finds its own c: first ×10, then half the bracket", "attempt", lines, "c", True)


TASK = Task(
    module=__name__,
    kind="attack",
    minutes=40,
    teaches="one binary search for each example of a batch, and the best of all attempts",
    reading="Carlini and Wagner 2017, §V and §VI.A; attacks/plain/carlini_wagner.py after you have tried",
    parts=(
        Part("each example asks for the right c", 1.5, follows),
        Part("the smallest c, as precisely as the steps allow", 0.5, precise),
        Part("the best distance, and the image that belongs to it", 1, best),
        Part("with a real attack on a network", 1, attacks_network),
    ),
    hints=(
        "Three arrays (n,): low = 0, high = np.inf, c = initial.  How does each change where the attempt succeeded, "
        "and where it failed?  np.where asks all examples at once.",
        "high = np.where(success, c, high), and low in the same way; then c = np.where(high is finite, middle, 10·c).  "
        "With high = np.inf the middle is infinite, but np.where does not take it.",
        "better = success & (distance < least).  The images are an array (n, …) that you know after the first attempt: "
        "copy it then, and later write kept[better] = images[better].",
    ),
    demo=demo,
    forbidden=("attacks",),
)
