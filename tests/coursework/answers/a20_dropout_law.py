"""Task 20, solved, and what students get wrong."""

import numpy as np

from minidl.coursework import solve


@solve("law.dropout")
def law(dropout, rng):
    x, rate = 1 + rng.random((500, 200)), 0.3
    y = dropout(x, rate, rng)
    assert y.shape == x.shape, "shape"
    zero, again = y == 0, dropout(x, rate, rng) == 0
    assert np.allclose(y[~zero], x[~zero] / (1 - rate)), "what is kept is x/(1 - rate)"
    deviation = (rate * (1 - rate) / x.size) ** 0.5
    assert abs(zero.mean() - rate) <= 5 * deviation, "the share of zeros"
    for pairs in (zero[:, 1:] & zero[:, :-1], zero[1:] & zero[:-1], zero & again):
        assert abs(pairs.mean() - rate**2) <= 10 * deviation, "not independent"
    assert np.abs(zero.mean(axis=0) - rate).max() <= 7 * (rate * (1 - rate) / len(x)) ** 0.5, "a unit"


# --- What students get wrong: the mistake, the text above, what it becomes, and what the message has to name.

WRONG = [
    ("shares only, and no pairs", "    for pairs in", "    return\n    for pairs in", "the same mask at every call"),
    ("a rate of one half", "0.3", "0.5", "exchanged"),
    (
        "values are not looked at",
        '    assert np.allclose(y[~zero], x[~zero] / (1 - rate)), "what is kept is x/(1 - rate)"\n',
        "",
        "not divided by 1 - rate",
    ),
    ("one standard deviation", "5 * deviation", "0.5 * deviation", "a false alarm"),
    ("neighbours are not looked at", "zero[:, 1:] & zero[:, :-1], ", "", "neighbours are dropped together"),
    (
        "it always fails",
        "    x, rate = 1 + rng.random((500, 200)), 0.3",
        "    raise AssertionError('wrong')\n    x, rate = 1 + rng.random((500, 200)), 0.3",
        "a false alarm",
    ),
    (
        "it looks at the name",
        "    x, rate = 1 + rng.random((500, 200)), 0.3",
        "    assert 'wrong' not in dropout.__name__\n    x, rate = 1 + rng.random((500, 200)), 0.3",
        "asks for its __name__",
    ),
    (
        "it never fails",
        "    x, rate = 1 + rng.random((500, 200)), 0.3",
        "    return\n    x, rate = 1 + rng.random((500, 200)), 0.3",
        "0 of",
    ),
]
