"""Task 28: the fewest pixels.

How many pixels must change, by any amount, until a network classifies a digit as something else?  In this norm, L0, a
pixel counts as changed as soon as its value differs at all, and it may then take any value from 0 to 1.  To find the
smallest number is hard: there are 196·195/2 pairs of pixels, 1.2 million triples.  Published attacks approach it from
both ends: JSMA adds the pixels that matter most, one pair after the other (task 24); Carlini and Wagner's L0 attack
begins with all pixels, and fixes again those that matter least; the few-pixel attack evolves candidates without a
gradient.

Write `attack`, by whatever idea: misclassify every image, with as few changed pixels as you can.  The network is small,
so that a batch of a thousand images takes it about a millisecond.  The check takes 50 of those digits that the network
is most sure of; your attack may take about 10 seconds for them.  An image that is still classified as y counts as 196
changed pixels.  The leaderboard compares the mean number.
"""

import numpy as np

from minidl import grad, losses
from minidl.coursework import solve


@solve("pixels.attack")
def attack(net, x, y):
    """A network, images x (n, 1, 14, 14) of float32 in [0, 1], labels y (n,) -> x_adv, like x."""
    raise NotImplementedError("Return images with few changed pixels, all classified as something else than y.")


# --- Below: how it is checked.  Not handed out. ------------------------------------------------------------

from attacks import jsma
from minidl.coursework.contests import attacked, match, steps_of, within
from minidl.coursework.pictures import images
from minidl.coursework.task import Part, Score, Task


def sure(seed, n=50):
    """The network, and of 400 digits n among the 100 with the largest margin: images and labels."""
    net, x, y = match("mlp", 400, seed)
    ordered = np.sort(net(x), axis=1)
    rows = (ordered[:, -1] - ordered[:, -2]).argsort()[-100 :: 100 // n]
    return net, x[rows], y[rows]


def changed(x_adv, x):
    return (x_adv != x).reshape(len(x), -1).sum(axis=1)


def misclassified(solution, seed):
    net, x, y = sure(seed)
    x_adv = attacked(solution["pixels.attack"], net, x, y)
    within(x_adv, x)
    left = net(x_adv).argmax(axis=1) == y
    if left.any():
        raise AssertionError(
            f"{left.sum()} of {len(x)} digits are still classified as their label, among them example "
            f"{int(left.argmax())}, with {int(changed(x_adv, x)[left.argmax()])} changed pixels.  Likely causes: the "
            "loop ends too early, or for all examples when the first is done; changes that are too small"
        )


def few(solution, seed):
    net, x, y = sure(seed)
    x_adv = attacked(solution["pixels.attack"], net, x, y)
    within(x_adv, x)
    done = net(x_adv).argmax(axis=1) != y
    mean = float(np.where(done, changed(x_adv, x), 196).mean())
    pairs, single = (
        float(np.where(r.success, r.l0, 196).mean())
        for r in (jsma(net, x, y, max_distortion=0.3), jsma(net, x, y, max_distortion=0.3, features=1))
    )
    sentence = f"{mean:.2f} pixels on average; our JSMA needs {pairs:.2f} by pairs, {single:.2f} by single pixels"
    if not done.all():
        sentence += f"; {int((~done).sum())} digits are still classified as their label, and count as 196 each"
    levels = {3 * pairs: 0.25, 1.5 * pairs: 0.5, pairs: 0.7, single: 0.85, 0.96 * single: 1.0}
    score = steps_of(levels, mean, sentence, best="low")
    moved = np.abs(x_adv - x)[x_adv != x]
    if score.share == 0 and moved.size and (moved < 1e-3).mean() > 0.5:
        more = (
            f".  {(moved < 1e-3).mean():.0%} of the changes are below .001: they count, too.  Set such pixels back to x"
        )
        score = Score(0, score.sentence + more, mean)
    elif score.share == 0 and done.all():
        score = Score(
            0, score.sentence + ".  An attack that moves every pixel is far from it: change one at a time", mean
        )
    return score


def demo(solution, path):
    net, x, y = sure(3, 10)
    x_adv = solution["pixels.attack"](net, x, y)
    names = [f"{k}: {n} pixel{'' if n == 1 else 's'}" for k, n in zip(net(x_adv).argmax(axis=1), changed(x_adv, x))]
    difference = x_adv - x
    images(
        path,
        "A few pixels, changed by any amount, and the network names another digit; made darker in red, lighter in blue",
        {"before": [*x], "changed": [np.where(d == 0, -1e-9, d) for d in difference], "after": [*x_adv]},
        [[str(k) for k in y], [], names],
    )


TASK = Task(
    module=__name__,
    kind="attack",
    minutes=90,
    teaches="the fewest pixels: a search that gradients can only guide",
    reading="Papernot et al. 2016; Carlini and Wagner 2017, §VI.B; Su, Vargas and Sakurai 2017",
    needs=("24",),
    parts=(
        Part("all digits are misclassified", 2, misclassified),
        Part("few pixels, compared with ours", 4, few),
    ),
    hints=(
        "One pixel at a time: which one, set to 0 or to 1, changes the margin max_{k≠y} z_k - z_y most?  Stop an "
        "example as soon as it is misclassified.",
        "The gradient predicts that: a pixel with g > 0 gains g·(1 - x) if it is set to 1, one with g < 0 gains -g·x "
        "if it is set to 0.  That alone beats JSMA.",
        "Better than to predict is to try: 392 images, each with one pixel set to 0 or 1, are one call of the network. "
        "Then keep several of the best and go on from each; or try at the end which changes can be taken back.",
    ),
    demo=demo,
    forbidden=("attacks",),
    board="mean number of changed pixels",
    best="low",
    seconds=40,
)
