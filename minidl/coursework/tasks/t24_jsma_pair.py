"""Task 24: the saliency map's pair of pixels.

JSMA changes few pixels, by a lot.  In each step it looks for two pixels p and q that, made darker together, increase
the logit Z_t of a target t and decrease the sum of all other logits.  With the forward derivative of the network,

    α_i = ∂Z_t/∂x_i    and    β_i = Σ_{j≠t} ∂Z_j/∂x_i

the pair to change is the one that maximises

    -(α_p + α_q)·(β_p + β_q)    subject to    α_p + α_q > 0  and  β_p + β_q < 0

(Papernot et al. 2016, Algorithm 3).  Why pairs?  Few pixels satisfy both conditions alone, but two can: one that helps
t much and the others a little, with one that does the opposite.  So a pair may satisfy both although neither of its
pixels does.

Write `pair`.  Only pixels in the search domain Γ may be chosen: those that can still move.  p and q are two different
pixels.  The network has 196 pixels, so there are 19,110 pairs, for each step of each image: compare all of them by
arrays (196, 196), not by loops.
"""

import numpy as np

from minidl.coursework import solve


@solve("jsma.pair")
def pair(alpha, beta, domain):
    """α (D,), β (D,) and Γ as a mask (D,) of bool -> (p, q), whole numbers, or None if no pair is allowed."""
    raise NotImplementedError("Return the pair (p, q) with the largest -(α_p+α_q)(β_p+β_q), or None.")


# --- Below: how it is checked.  Not handed out. ------------------------------------------------------------

import time

from attacks import Targeted, jsma
from minidl import linearize
from minidl.coursework.contests import match
from minidl.coursework.pictures import images
from minidl.coursework.rules import drawn, st
from minidl.coursework.task import Part, Task

#: Quarters, so that sums and products are exact, and ties are ties.
quarters = st.integers(-8, 8).map(lambda k: k / 4)


@st.composite
def cases(draw, masked=False):
    size = draw(st.integers(2, 6))
    rows = [np.array(draw(st.lists(quarters, min_size=size, max_size=size))) for _ in range(2)]
    mask = draw(st.lists(st.booleans(), min_size=size, max_size=size)) if masked else [True] * size
    return *rows, np.array(mask)


def best(alpha, beta, domain):
    """The largest value over all pairs, by loops, and the first pair that has it; 0 and None if there is none."""
    largest, first = 0.0, None
    for p in range(len(alpha)):
        for q in range(p + 1, len(alpha)):
            a, b = alpha[p] + alpha[q], beta[p] + beta[q]
            if domain[p] and domain[q] and a > 0 and b < 0 and -a * b > largest:
                largest, first = -a * b, (p, q)
    return largest, first


def checked(returned, alpha, beta, domain):
    """The pair as two Python numbers, None for None; `AssertionError` for what is no allowed pair."""
    if returned is None:
        return None
    if not isinstance(returned, tuple | list | np.ndarray) or len(returned) != 2:
        raise AssertionError(f"a pair (p, q) or None is expected, and {returned!r} was returned")
    p, q = (int(i) for i in returned)
    if not (0 <= p < len(alpha) and 0 <= q < len(alpha)):
        raise AssertionError(
            f"the pair {(p, q)} is not among {len(alpha)} pixels.  Likely cause: the place in the flat array of pairs; "
            "np.unravel_index makes two indices of it"
        )
    if p == q:
        raise AssertionError(
            f"the pair is pixel {p} twice; p and q must differ.  Likely cause: the diagonal of the array of pairs is "
            "not excluded"
        )
    if not (domain[p] and domain[q]):
        raise AssertionError(
            f"pixel {p if not domain[p] else q} of the pair {(p, q)} is not in the domain Γ: it cannot move any "
            "further.  Likely causes: Γ is not used, or only for one of the two"
        )
    a, b = alpha[p] + alpha[q], beta[p] + beta[q]
    if not (a > 0 and b < 0):
        raise AssertionError(
            f"the pair {(p, q)} has α_p + α_q = {a:g} and β_p + β_q = {b:g}; they must be above 0 and below 0.  Likely "
            "causes: a product of two wrong signs is positive, too; or β with the wrong sign"
        )
    return p, q


def agrees(solution, masked):
    def check(case):
        alpha, beta, domain = case
        largest, first = best(alpha, beta, domain)
        returned = solution["jsma.pair"](alpha, beta, domain)
        try:
            chosen = checked(returned, alpha, beta, domain)
        except AssertionError as error:
            if first is None:
                raise AssertionError(f"no pair is allowed here, so None is expected.  {error}") from None
            raise
        if chosen is None and first is not None:
            alone = [(alpha[i] > 0 and beta[i] < 0) for i in first]
            raise AssertionError(
                f"None was returned, but the pair {first} is allowed, with the value {largest:g}.  Likely cause: "
                + (
                    "an argmax of something that is 0 or negative everywhere"
                    if all(alone)
                    else "the conditions are asked of each pixel alone; they are on the sums α_p + α_q and β_p + β_q"
                )
            )
        if chosen is not None:
            p, q = chosen
            value = -(alpha[p] + alpha[q]) * (beta[p] + beta[q])
            if value < largest:
                raise AssertionError(
                    f"the pair {chosen} has the value {value:g}, and {first} has {largest:g}.  Likely causes: the best "
                    "single pixels instead of the best pair; another product than -(α_p + α_q)(β_p + β_q)"
                )

    return check


def values(solution, seed):
    drawn(agrees(solution, False), seed, 150, case=cases())


def masks(solution, seed):
    drawn(agrees(solution, True), seed, 150, case=cases(masked=True))


def none(solution, seed):
    rng = np.random.default_rng(seed)
    for alpha, beta, why in (
        (-rng.random(6), -rng.random(6), "all α are negative"),
        (rng.random(6), rng.random(6), "all β are positive"),
        (rng.random(6) + 1, -rng.random(6) - 1, "Γ has one pixel only"),
        (np.zeros(6), -rng.random(6), "all α are 0"),
    ):
        domain = np.arange(6) == 2 if "Γ" in why else np.ones(6, dtype=bool)
        returned = solution["jsma.pair"](alpha, beta, domain)
        if returned is not None:
            raise AssertionError(
                f"{why}, so no pair is allowed, and {np.array(returned).tolist()} was returned instead of None.  "
                "Likely cause: an argmax without a look at whether the largest value is above 0"
            )


def attack(pair, net, image, target, most):
    """JSMA with the student's pair, on one image: the changed image, and whether the target is predicted."""
    x, domain = image.copy(), image.reshape(-1) < 1
    for _ in range(most // 2):
        lin = linearize(net, x[None])
        if lin.value[0].argmax() == target:
            return x, True
        one_hot = np.eye(10, dtype=x.dtype)[target]
        alpha, beta = (lin.vjp(g[None])[0].reshape(-1) for g in (one_hot, 1 - one_hot))
        chosen = checked(pair(alpha, beta, domain), alpha, beta, domain)
        if chosen is None:
            return x, False
        x.reshape(-1)[list(chosen)] = 1
        domain = domain & (x.reshape(-1) < 1)
    return x, bool(net(x[None])[0].argmax() == target)


def drives(solution, seed):
    net, x, y = match("mlp", 12, seed)
    targets = (y + 1 + np.arange(12) % 9) % 10
    ours = jsma(net, x, Targeted(targets), theta=1.0, max_distortion=0.2)
    results = [attack(solution["jsma.pair"], net, *case, int(196 * 0.2)) for case in zip(x, targets)]
    reached = np.array([done for _, done in results])
    changed = np.array([(after != before).sum() for (after, _), before in zip(results, x)])
    if reached.sum() < ours.success.sum() - 1:
        raise AssertionError(
            f"JSMA with your pairs reaches {reached.sum()} of 12 targets, with ours {int(ours.success.sum())}.  Look "
            "at the other parts first: a wrong pair in one step leads to others in all that follow"
        )
    both = reached & ours.success
    if both.any() and changed[both].mean() > 1.15 * ours.l0[both].mean() + 0.5:
        raise AssertionError(
            f"JSMA with your pairs changes {changed[both].mean():.1f} pixels on average, with ours "
            f"{ours.l0[both].mean():.1f}.  Likely cause: a pair that is allowed, but not the best"
        )


LIMIT = 1.0  # seconds for 100 pairs among 196 pixels; arrays take about 0.05


def fast(solution, seed):
    rng = np.random.default_rng(seed)
    start = time.perf_counter()
    for k in range(100):
        solution["jsma.pair"](*rng.normal(size=(2, 196)), np.ones(196, dtype=bool))
        seconds = time.perf_counter() - start
        if seconds > LIMIT:
            raise AssertionError(
                f"{k + 1} pairs among 196 pixels took {seconds:.1f} s; 100 have to take less than {LIMIT:g} s.  Likely "
                "cause: loops over p and q.  alpha[:, None] + alpha[None, :] is the array of all sums"
            )


def demo(solution, path):
    net, x, y = match("mlp", 1, 40)
    rows, captions = {}, []
    targets = [t for t in range(10) if t != y[0]]
    after = [attack(solution["jsma.pair"], net, x[0], t, 60) for t in targets]
    rows[f"from {y[0]}"] = [image for image, _ in after]
    rows["changed"] = [image - x[0] for image, _ in after]
    captions = [[f"to {t}" if done else f"not {t}" for t, (_, done) in zip(targets, after)]]
    captions.append([f"{int((image != x[0]).sum())} pixels" for image, _ in after])
    images(path, f"One image of a {y[0]}, towards each other digit: pairs of pixels are made dark", rows, captions)


TASK = Task(
    module=__name__,
    kind="attack",
    minutes=40,
    teaches="the saliency map's pair, by arrays over all pairs at once",
    reading="Papernot et al. 2016, §IV, Algorithms 2 and 3; attacks/plain/jsma.py after you have tried",
    parts=(
        Part("the best pair, as by loops", 1.5, values),
        Part("only pixels in Γ", 1, masks),
        Part("None exactly where no pair is allowed", 0.5, none),
        Part("JSMA with it reaches what ours reaches", 1.5, drives),
        Part("fast enough for 196 pixels", 0.5, fast),
    ),
    hints=(
        "a = alpha[:, None] + alpha[None, :] holds α_p + α_q for all p and q.  What is on its diagonal?",
        "Write the value for all pairs, and set it to 0 where a pair is not allowed: np.where(allowed, -a * b, 0).  "
        "The allowed ones satisfy both conditions on the sums, have both pixels in Γ, and p ≠ q (np.eye, or np.triu "
        "with 1).",
        "k = values.argmax(), and p, q = np.unravel_index(k, values.shape); None if values.max() is not above 0.",
    ),
    demo=demo,
    forbidden=("attacks", "minidl.kernels"),
)
