"""Task 14, solved, and what students get wrong."""

import numpy as np

from minidl.coursework import solve


@solve("dropout")
def dropout(x, rate, seed, step, examples):
    keys = [[seed, step, int(example)] for example in examples]
    uniform = np.stack([np.random.default_rng(key).random(x.shape[1]) for key in keys])
    return x * ((uniform >= rate) / (1 - rate)).astype(x.dtype)


# --- What students get wrong: the mistake, the text above, what it becomes, and what the message has to name.

WRONG = [
    (
        "one generator for the batch",
        "np.stack([np.random.default_rng(key).random(x.shape[1]) for key in keys])",
        "np.random.default_rng(keys[0]).random(x.shape)",
        "one generator for the whole batch",
    ),
    (
        "keyed by the place",
        "[[seed, step, int(example)] for example in examples]",
        "[[seed, step, place] for place, _ in enumerate(examples)]",
        "keyed by the place",
    ),
    (
        "the parts of the key are added",
        "[seed, step, int(example)]",
        "[seed + step + int(example)]",
        "adds the parts up",
    ),
    ("rate and 1 - rate exchanged", "uniform >= rate", "uniform < rate", "exchanged"),
    ("not rescaled", "((uniform >= rate) / (1 - rate))", "(uniform >= rate)", "1/(1 - rate)"),
    ("the same in every step", "[seed, step, int(example)]", "[seed, int(example)]", "another step"),
    ("float64", ".astype(x.dtype)", "", "float64"),
]
