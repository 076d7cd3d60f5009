"""Task 14: dropout that draws the same, whatever the batch.

Dropout (Srivastava et al. 2014) sets each unit to 0 with probability `rate`, and divides the others by 1 - rate, so
that the mean stays.  Most implementations draw one array of random numbers for the batch.  Then an example's mask
depends on its place in the batch and on who is beside it, and a run on two machines cannot be compared with a run on
one.

Draw instead for each example by its own key: the seed, the step of training, and the number of the example in the data
set.  The same key, the same mask, in any batch.  np.random.default_rng([seed, step, example]) is a generator for each.

Return x times the mask, so that the engine can differentiate through it: the mask is a plain array.
"""

import numpy as np

from minidl.coursework import solve


@solve("dropout")
def dropout(x, rate, seed, step, examples):
    """x (n, units), rate in [0, 1), examples (n,): their numbers in the data set -> (n, units), in the dtype of x."""
    raise NotImplementedError("Make the mask row by row: 0, or 1/(1 - rate); then return x times the mask.")


# --- Below: how it is checked.  Not handed out. ------------------------------------------------------------

from minidl import linearize
from minidl.coursework.pictures import images
from minidl.coursework.rules import close, drawn, st
from minidl.coursework.task import Part, Task


def masks(solution, rate, seed, step, examples, units=200):
    return np.asarray(solution["dropout"](np.ones((len(examples), units)), rate, seed, step, np.asarray(examples)))


def whatever_the_batch(solution, seed):
    def check(examples, order, rate):
        whole = masks(solution, rate, seed % 1000, 3, examples)
        for place in order:
            example = examples[place % len(examples)]
            alone = masks(solution, rate, seed % 1000, 3, [example])
            if not np.array_equal(alone[0], whole[place % len(examples)]):
                raise AssertionError(
                    f"example {example} has another mask alone than in the batch {examples}.  Likely cause: one "
                    "generator for the whole batch, or one keyed by the place in the batch"
                )

    drawn(check, seed, 15, examples=st.lists(st.integers(0, 9999), min_size=1, max_size=4, unique=True),
          order=st.permutations(range(4)), rate=st.sampled_from([0.25, 0.5]))  # fmt: skip


def different_keys(solution, seed):
    base = seed % 1000
    keys = {"the first": (base, 3, 7), "another seed": (base + 1, 3, 7), "another step": (base, 4, 7),
            "another example": (base, 3, 8), "seed and step exchanged": (3, base, 7),
            "step and example exchanged": (base, 7, 3)}  # fmt: skip
    rows = {name: masks(solution, 0.5, s, step, [example])[0] for name, (s, step, example) in keys.items()}
    for name, row in rows.items():
        if name != "the first" and keys[name] != keys["the first"] and np.array_equal(row, rows["the first"]):
            raise AssertionError(f"{name} has the same mask.  Likely cause: a key that leaves a part out, or adds the "
                                 "parts up")  # fmt: skip


def by_chance(solution, seed):
    """The share of zeros within 5 standard deviations, for units, and for neighbouring pairs, which are independent."""
    for rate in (0.2, 0.5):
        mask = masks(solution, rate, seed, 1, range(100))
        kept = mask != 0
        close(f"what is kept, at rate {rate}: 1/(1 - rate)", mask[kept], np.full(kept.sum(), 1 / (1 - rate)), 1e-6)
        for what, share, expected in (
            ("zeros", 1 - kept.mean(), rate),
            ("zeros whose neighbour is 0", (~kept[:, 1:] & ~kept[:, :-1]).mean(), rate**2),
            ("zeros that are 0 in the next example", (~kept[1:] & ~kept[:-1]).mean(), rate**2),
        ):
            n = mask.size / 2
            if abs(share - expected) > 5 * (expected * (1 - expected) / n) ** 0.5:
                raise AssertionError(
                    f"at rate {rate}, the share of {what} is {share:.4f}, expected {expected:.4f}.  "
                    "Likely cause: rate and 1 - rate exchanged; units that are drawn together"
                )


def in_the_engine(solution, seed):
    x = np.random.default_rng(seed).normal(size=(3, 5)).astype(np.float32)
    lin = linearize(lambda x: solution["dropout"](x, 0.5, seed, 0, np.arange(3)), x)
    if lin.value.dtype != np.float32:
        raise AssertionError(
            f"dropout of float32 is {lin.value.dtype}.  Likely cause: a mask of float64: astype(x.dtype)"
        )
    mask = masks(solution, 0.5, seed, 0, range(3), 5).astype(np.float32)
    close("Jᵀ·g: the mask times g", lin.vjp(np.ones_like(x)), mask, 1e-6)
    close("at rate 0, x itself", masks(solution, 0.0, seed, 0, range(3)), np.ones((3, 200)))


def demo(solution, path):
    many = np.stack([masks(solution, 0.5, 0, step, [7], 196)[0] for step in range(400)])
    one = many[:3].reshape(3, 14, 14)
    images(path, "Masks of one example in three steps; and the mean of 400, which is even",
           {"": [*one / 2, many.mean(axis=0).reshape(14, 14) / 2]},
           [["step 0", "step 1", "step 2", "mean"]])  # fmt: skip


TASK = Task(
    module=__name__,
    kind="rule",
    minutes=30,
    teaches="random numbers that depend on what they are for, and not on the batch",
    reading="minidl/layers.py, `Dropout`; Srivastava et al. 2014",
    forbidden=("minidl.layers", "minidl.kernels", "minidl.fused"),
    parts=(
        Part("the same mask in any batch", 1.5, whatever_the_batch),
        Part("other keys, other masks", 1, different_keys),
        Part("the right shares, by chance", 1, by_chance),
        Part("it runs in the engine", 0.5, in_the_engine),
    ),
    hints=(
        "uniform = np.random.default_rng([seed, step, example]).random(units): one row for each example.",
        "keep = uniform >= rate; mask = keep / (1 - rate).  Stack the rows, in the dtype of x.",
        "x may be a box: x * mask works, mask has to be a plain array, and x.dtype is there.",
    ),
    demo=demo,
)
