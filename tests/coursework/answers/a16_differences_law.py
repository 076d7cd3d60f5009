"""Task 16, solved, and what students get wrong."""

import numpy as np

from minidl import linearize
from minidl.coursework import solve


@solve("law.differences")
def law(f, x, rng):
    lin, t, h = linearize(f, x), rng.normal(size=x.shape), 1e-6
    t /= max(np.sqrt((t * t).sum()), 1e-12)
    quotient = (f(x + h * t) - f(x - h * t)) / (2 * h)
    pushed = lin.jvp(t)
    scale = 1 + np.abs(pushed).max() + np.abs(lin.value).max()
    assert np.abs(pushed - quotient).max() <= 1e-6 * scale, f"{pushed} and {quotient}"


# --- What students get wrong: the mistake, the text above, what it becomes, and what the message has to name.

WRONG = [
    ("too much room", "1e-6 * scale", "0.5 * scale", "Let pass"),
    ("no room for large values", "1e-6 * scale", "1e-6", "a false alarm"),
    (
        "one side only, with a large step",
        "(f(x + h * t) - f(x - h * t)) / (2 * h)",
        "(f(x + 0.01 * t) - f(x)) / 0.01",
        "a false alarm",
    ),
    (
        "a step that is lost in rounding",
        "h = linearize(f, x), rng.normal(size=x.shape), 1e-6",
        "h = linearize(f, x), rng.normal(size=x.shape), 1e-14",
        "a false alarm",
    ),
    ("one per cent allowed", "1e-6 * scale", "1e-2 * scale", "not shown"),
    ("the first entry only", "np.abs(pushed - quotient).max()", "np.abs(np.ravel(pushed - quotient)[0])", "not shown"),
    (
        "it always fails",
        "    lin, t, h = linearize(f, x), rng.normal(size=x.shape), 1e-6",
        "    raise AssertionError('wrong')\n    lin, t, h = linearize(f, x), rng.normal(size=x.shape), 1e-6",
        "a false alarm",
    ),
    (
        "it looks at the name",
        "    lin, t, h = linearize(f, x), rng.normal(size=x.shape), 1e-6",
        "    assert 'wrong' not in f.__name__\n    lin, t, h = linearize(f, x), rng.normal(size=x.shape), 1e-6",
        "asks for its __name__",
    ),
    (
        "it never fails",
        "    lin, t, h = linearize(f, x), rng.normal(size=x.shape), 1e-6",
        "    return\n    lin, t, h = linearize(f, x), rng.normal(size=x.shape), 1e-6",
        "0 of",
    ),
]
