"""Task 27: a genome for images that fool a network.

Which images make a network say "this is a 7" with a confidence of 99 %?  Evolution finds them from nothing: random
images first, then changed copies of the best, generation after generation.  Nguyen, Yosinski and Clune (2015, §2.3)
found that it matters how an image is encoded.  With the direct encoding, one gene for each pixel, they needed many
thousands of images; with an indirect one, in which a gene shapes many pixels at once, fewer, and the images have
patterns.

Write an encoding of your own: three functions.

    random_genome(rng)      a genome of any type that you like: an array, a list of shapes, the weights of a small
                            function of (row, column), …
    mutate(genome, rng)     a changed copy, which resembles its parent; the parent stays as it is
    express(genome)         its image (14, 14), pixels from 0 to 1; the same each time

All random numbers come from rng, a NumPy generator.  The functions may not look at a network, at its derivatives or at
the digits: the network only judges.

The check runs MAP-Elites with 12 generations of 50 images, 600 in all.  For each of the 10 classes it keeps the genome
with the highest confidence so far; parents are drawn from these; each child competes in all classes.  You are compared
with the direct encoding.  The leaderboard compares the mean over the classes of the confidence reached.
"""

import numpy as np

from minidl.coursework import solve


@solve("genome.random_genome")
def random_genome(rng):
    """A NumPy generator -> a genome."""
    raise NotImplementedError("Return a random genome of your own design, drawn from rng.")


@solve("genome.mutate")
def mutate(genome, rng):
    """A genome, a NumPy generator -> a changed copy."""
    raise NotImplementedError("Return a copy of the genome in which something, but not everything, is changed.")


@solve("genome.express")
def express(genome):
    """A genome -> an image (14, 14), floating point, in [0, 1]."""
    raise NotImplementedError("Return the image (14, 14) that the genome describes, with pixels in [0, 1].")


# --- Below: how it is checked.  Not handed out. ------------------------------------------------------------

from minidl.coursework.contests import steps_of
from minidl.coursework.networks import network
from minidl.coursework.pictures import images
from minidl.coursework.task import Part, Score, Task

GENERATIONS, CHILDREN, RUNS = 12, 50, 5


def direct(rng):
    """The direct encoding that others are compared with: each pixel is drawn anew with probability .1, near itself."""

    def moved(genome, rng):
        r = rng.random(genome.shape)
        delta = np.where(r < 0.5, (2 * r) ** (1 / 16) - 1, 1 - (2 * (1 - r)) ** (1 / 16))  # polynomial mutation, η = 15
        return np.where(rng.random(genome.shape) < 0.1, np.clip(genome + delta, 0, 1), genome)

    return evolved(lambda rng: rng.random((14, 14)), moved, lambda genome: genome, rng)


def student(solution, rng):
    return evolved(solution["genome.random_genome"], solution["genome.mutate"], solution["genome.express"], rng)


def evolved(born, changed, image, rng):
    """MAP-Elites: the confidence reached in each class, and the images."""
    net, best, elites, pictures = network("mlp"), np.full(10, -1.0), [None] * 10, np.zeros((10, 14, 14))
    for generation in range(GENERATIONS):
        parents = rng.integers(10, size=CHILDREN)
        children = [changed(elites[k], rng) if generation else born(rng) for k in parents]
        shown = np.stack([expressed(image, child) for child in children]).astype(np.float32)
        z = net(shown[:, None]).astype(np.float64)
        p = np.exp(z - z.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        for k in range(10):
            i = int(p[:, k].argmax())
            if p[i, k] > best[k]:
                best[k], elites[k], pictures[k] = p[i, k], children[i], shown[i]
    return best, pictures


def expressed(image, genome):
    """The image of a genome, checked."""
    x = np.asarray(image(genome))
    if x.shape != (14, 14) or x.dtype.kind not in "fiub":
        raise AssertionError(
            f"express returned an array of shape {x.shape} and dtype {x.dtype}; an image (14, 14) of numbers is "
            "expected"
        )
    x = x.astype(np.float64)
    if not (np.isfinite(x).all() and x.min() >= 0 and x.max() <= 1):
        raise AssertionError(
            f"express returned pixels from {x.min():.3g} to {x.max():.3g}; they must be finite, and from 0 to 1.  "
            "Likely cause: no np.clip, or no squashing, at the end"
        )
    return x


def law_of_express(solution, seed):
    born, image = solution["genome.random_genome"], solution["genome.express"]
    for k in range(20):
        genome = born(np.random.default_rng([seed, k]))
        first, second = expressed(image, genome), expressed(image, genome)
        if not np.array_equal(first, second):
            raise AssertionError(
                f"one genome, expressed twice: {np.mean(first != second):.0%} of the pixels differ.  Likely causes: "
                "express draws random numbers, or changes the genome"
            )
        again = expressed(image, born(np.random.default_rng([seed, k])))
        if not np.array_equal(first, again):
            raise AssertionError(
                f"random_genome with the same rng, twice: {np.mean(first != again):.0%} of the pixels differ.  Likely "
                "cause: random numbers from elsewhere than rng"
            )
    rng = np.random.default_rng(seed)
    if all(np.array_equal(first, expressed(image, born(rng))) for _ in range(10)):
        raise AssertionError("10 random genomes express the same image.  Likely cause: nothing is drawn from rng")


def law_of_mutate(solution, seed):
    born, changed, image = (solution[f"genome.{name}"] for name in ("random_genome", "mutate", "express"))
    rng, moved, strangers, count = np.random.default_rng(seed), [], [], 40
    for k in range(count):
        parent = born(rng)
        before = expressed(image, parent)
        child = expressed(image, changed(parent, np.random.default_rng([seed, k])))
        after = expressed(image, parent)
        if not np.array_equal(before, after):
            raise AssertionError(
                f"mutate changed its argument: {np.mean(before != after):.0%} of the parent's pixels are others "
                "afterwards.  Parents stay among the best and are used again.  Fix: copy first (genome.copy(), "
                "copy.deepcopy)"
            )
        again = expressed(image, changed(parent, np.random.default_rng([seed, k])))
        if not np.array_equal(child, again):
            raise AssertionError(
                "mutate with the same parent and the same rng, twice: the children differ.  Likely cause: random "
                "numbers from elsewhere than rng"
            )
        moved.append(np.abs(child - before).mean())
        strangers.append(np.abs(expressed(image, born(rng)) - before).mean())
    different = np.mean(np.array(moved) > 0)
    if different < 0.25:
        raise AssertionError(
            f"{different:.0%} of the children look different from their parent; evolution needs changes.  Likely "
            "causes: the parent is returned; a rate that is too small for so few genes"
        )
    if np.mean(moved) > 0.7 * np.mean(strangers):
        raise AssertionError(
            f"a child differs from its parent by {np.mean(moved):.3f} for each pixel, and two random genomes by "
            f"{np.mean(strangers):.3f}: children do not resemble their parents, so that nothing is inherited.  Likely "
            "causes: all genes are changed at once; steps that are too large"
        )


def results(solution, seed):
    runs = [
        (student(solution, np.random.default_rng([seed, k]))[0], direct(np.random.default_rng([seed, k]))[0])
        for k in range(RUNS)
    ]
    return (np.array(each) for each in zip(*runs))


def classes(solution, seed):
    mine, others = ((each >= 0.99).sum(axis=1).mean() for each in results(solution, seed))
    sentence = (
        f"of 10 classes, {mine:.1f} are reached with 99 % (mean of {RUNS} runs); by the direct encoding {others:.1f}"
    )
    score = steps_of({others + 1: 0.25, others + 2: 0.5, others + 3.5: 0.75, others + 5: 1.0}, mine, sentence)
    return Score(score.share, score.sentence)


def confidence(solution, seed):
    mine, others = (each.mean() for each in results(solution, seed))
    sentence = f"the mean confidence is {mine:.3f}; that of the direct encoding {others:.3f}"
    levels = {others + part * (1 - others): share for part, share in ((0.2, 0.25), (0.4, 0.5), (0.6, 0.75), (0.8, 1.0))}
    score = steps_of(levels, float(mine), sentence)
    if score.share == 0:
        score = Score(0, score.sentence + ".  Try genes that shape several pixels at once, and larger contrasts", mine)
    return score


def demo(solution, path):
    best, pictures = student(solution, np.random.default_rng(0))
    others, noise = direct(np.random.default_rng(0))
    captions = [[f"{k}: {p:.0%}" for k, p in enumerate(each)] for each in (best, others)]
    images(
        path,
        "Images from nothing, and what the network takes them for: your genome, and one gene for each pixel",
        {"yours": [*pictures], "direct": [*noise]},
        captions,
    )


TASK = Task(
    module=__name__,
    kind="attack",
    minutes=60,
    teaches="how an image is encoded decides what evolution can do with it",
    reading="Nguyen, Yosinski and Clune 2015, §2.3 and §3; attacks/plain/fool_direct.py and fool_cppn.py",
    parts=(
        Part("express: a fixed image in [0, 1] for each genome", 1, law_of_express),
        Part("mutate: a changed copy that resembles its parent", 1, law_of_mutate),
        Part("more classes than the direct encoding", 2, classes),
        Part("more confidence than the direct encoding", 2, confidence),
    ),
    hints=(
        "What do digits have that noise has not?  Neighbouring pixels are alike, and most are either white or black.",
        "Fewer genes are searched faster.  A grid of 7×7 genes, each of which colours 2×2 pixels: np.kron(genome, "
        "np.ones((2, 2))).  Or a few strokes, given by their ends; or sums of cosines.",
        "Genes that are 0 or 1 move further in one step than genes that change by a little.  How many should change "
        "in a child?  About two or three; try rates from .02 to .2.",
    ),
    demo=demo,
    forbidden=("attacks", "minidl.coursework.networks", "minidl.data", "minidl.core", "minidl.derivatives"),
    board="mean confidence",
)
