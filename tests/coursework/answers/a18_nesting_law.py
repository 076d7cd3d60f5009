"""Task 18, solved, and what students get wrong."""

import numpy as np

from minidl import linearize
from minidl.coursework import solve


@solve("law.nesting")
def law(f, x, rng):
    g, t, step = rng.normal(size=np.shape(f(x))), rng.normal(size=x.shape), 1e-6
    t /= max(np.sqrt((t * t).sum()), 1e-12)
    h = lambda x: linearize(f, x).vjp(g)
    lin = linearize(h, x)
    quotient = (h(x + step * t) - h(x - step * t)) / (2 * step)
    scale = 1 + np.abs(lin.jvp(t)).max() + np.abs(lin.value).max()
    assert np.abs(lin.jvp(t) - quotient).max() <= 1e-6 * scale, f"{lin.jvp(t)} and {quotient}"


# --- What students get wrong: the mistake, the text above, what it becomes, and what the message has to name.

WRONG = [
    ("the first derivative only", "h = lambda x: linearize(f, x).vjp(g)", "h = f", "Let pass"),
    ("another g at each call", "vjp(g)", "vjp(rng.normal(size=g.shape))", "a false alarm"),
    ("too much room", "1e-6 * scale", "0.1 * scale", "not shown"),
    ("no room for large values", "1e-6 * scale", "1e-6", "a false alarm"),
    (
        "a cotangent of ones",
        "g, t, step = rng.normal(size=np.shape(f(x)))",
        "g, t, step = np.ones(np.shape(f(x)))",
        "softmax",
    ),
    (
        "it always fails",
        "    g, t, step = rng.normal(size=np.shape(f(x))), rng.normal(size=x.shape), 1e-6",
        "    raise AssertionError('wrong')\n    g, t, step = rng.normal(size=np.shape(f(x))), rng.normal(size=x.shape), 1e-6",
        "a false alarm",
    ),
    (
        "it looks at the name",
        "    g, t, step = rng.normal(size=np.shape(f(x))), rng.normal(size=x.shape), 1e-6",
        "    assert 'wrong' not in f.__name__\n    g, t, step = rng.normal(size=np.shape(f(x))), rng.normal(size=x.shape), 1e-6",
        "asks for its __name__",
    ),
    (
        "it never fails",
        "    g, t, step = rng.normal(size=np.shape(f(x))), rng.normal(size=x.shape), 1e-6",
        "    return\n    g, t, step = rng.normal(size=np.shape(f(x))), rng.normal(size=x.shape), 1e-6",
        "0 of",
    ),
]
