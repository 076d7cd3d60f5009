"""Task 21, solved, and what students get wrong."""

import numpy as np

from minidl.coursework import solve


@solve("law.attack")
def law(attack, x, y, epsilon, rng):
    before, labels, seed = x.copy(), y.copy(), int(rng.integers(1000))
    adversarial = attack(x, y, epsilon, seed)
    assert np.array_equal(x, before), "x was changed"
    assert np.array_equal(y, labels), "y was changed"
    assert adversarial.shape == x.shape, "shape"
    assert adversarial.dtype == x.dtype, "dtype"
    assert np.abs(adversarial - x).max() <= epsilon + 1e-6, "outside of the ball"
    assert adversarial.min() >= 0, "below the bounds"
    assert adversarial.max() <= 1, "above the bounds"
    assert np.abs(adversarial - x).max() > 0, "nothing happened"
    assert np.array_equal(attack(x, y, epsilon, seed), adversarial), "another result for the same seed"
    alone = attack(x[:1], y[:1], epsilon, seed)[0]
    assert np.abs(alone - adversarial[0]).max() <= 1e-6, "another result alone"


# --- What students get wrong: the mistake, the text above, what it becomes, and what the message has to name.

WRONG = [
    (
        "only the ball",
        '    assert adversarial.min() >= 0, "below the bounds"\n    assert adversarial.max() <= 1, "above the bounds"\n',
        "",
        "not clipped",
    ),
    (
        "the mean change",
        "np.abs(adversarial - x).max() <= epsilon + 1e-6",
        "np.abs(adversarial - x).mean() <= epsilon + 1e-6",
        "a budget in L2",
    ),
    (
        "nothing is attacked twice",
        "    assert np.array_equal(attack",
        "    return\n    assert np.array_equal(attack",
        "the seed is ignored",
    ),
    ("no image is attacked alone", "<= 1e-6, ", "<= 1e9, ", "largest gradient of the batch"),
    (
        "success is asked of every image",
        "np.abs(adversarial - x).max() > 0",
        "np.abs(adversarial - x).reshape(len(x), -1).max(axis=1).min() >= epsilon",
        "a false alarm",
    ),
    (
        "it always fails",
        "    before, labels, seed = x.copy(), y.copy(), int(rng.integers(1000))",
        "    raise AssertionError('wrong')\n    before, labels, seed = x.copy(), y.copy(), int(rng.integers(1000))",
        "a false alarm",
    ),
    (
        "it looks at the name",
        "    before, labels, seed = x.copy(), y.copy(), int(rng.integers(1000))",
        "    assert 'wrong' not in attack.__name__\n    before, labels, seed = x.copy(), y.copy(), int(rng.integers(1000))",
        "asks for its __name__",
    ),
    (
        "it never fails",
        "    before, labels, seed = x.copy(), y.copy(), int(rng.integers(1000))",
        "    return\n    before, labels, seed = x.copy(), y.copy(), int(rng.integers(1000))",
        "0 of",
    ),
    (
        "only the first image is looked at",
        "np.abs(adversarial - x).max() <= e",
        "np.abs(adversarial - x)[0].max() <= e",
        "not shown",
    ),
]
