"""Task 27, solved, and what students get wrong."""

import numpy as np

from minidl.coursework import solve


@solve("genome.random_genome")
def random_genome(rng):
    return (rng.random((7, 7)) < 0.3).astype(float)


@solve("genome.mutate")
def mutate(genome, rng):
    child = genome.copy()
    flipped = rng.random(child.shape) < 0.06
    child[flipped] = 1 - child[flipped]
    return child


@solve("genome.express")
def express(genome):
    return np.kron(genome, np.ones((2, 2)))


# --- What students get wrong: the mistake, the text above, what it becomes, and what the message has to name.

WRONG = [
    ("mutated in place", "child = genome.copy()", "child = genome", "changed in place"),
    (
        "the parent is returned",
        "flipped = rng.random(child.shape) < 0.06",
        "flipped = np.zeros(child.shape, dtype=bool)",
        "the parent is returned",
    ),
    (
        "all genes at once",
        "flipped = rng.random(child.shape) < 0.06\n    child[flipped] = 1 - child[flipped]",
        "child = rng.random(child.shape)",
        "all genes are changed at once",
    ),
    (
        "noise in express",
        "np.kron(genome, np.ones((2, 2)))",
        "np.clip(np.kron(genome, np.ones((2, 2))) + 0.1 * np.random.normal(size=(14, 14)), 0, 1)",
        "express draws random numbers",
    ),
    ("pixels beyond 1", "np.ones((2, 2))", "2 * np.ones((2, 2))", "from 0 to 1"),
    ("numbers from elsewhere", "(rng.random((7, 7)) < 0.3)", "(np.random.random((7, 7)) < 0.3)", "elsewhere than rng"),
    (
        "steps that are too small",
        "child[flipped] = 1 - child[flipped]",
        "child[flipped] += 0.1 * (rng.random(flipped.sum()) - child[flipped])",
        "for more points",
    ),
]
