"""Task 15, solved, and what students get wrong."""

import numpy as np

from minidl import linearize
from minidl.coursework import solve


@solve("law.adjoint")
def law(f, x, rng):
    lin = linearize(f, x)
    t, g = rng.normal(size=x.shape), rng.normal(size=lin.value.shape)
    left, right = np.sum(lin.jvp(t) * g), np.sum(t * lin.vjp(g))
    assert abs(left - right) <= 1e-9 * (1 + abs(left) + abs(right)), f"{left} and {right}"


# --- What students get wrong: the mistake, the text above, what it becomes, and what the message has to name.

WRONG = [
    (
        "a cotangent of ones",
        "rng.normal(size=lin.value.shape)",
        "np.ones(lin.value.shape)",
        "right for a cotangent of ones",
    ),
    ("a tangent of ones", "t, g = rng.normal(size=x.shape)", "t, g = np.ones(x.shape)", "right for a tangent of ones"),
    (
        "shapes only",
        'assert abs(left - right) <= 1e-9 * (1 + abs(left) + abs(right)), f"{left} and {right}"',
        "assert lin.jvp(t).shape == lin.value.shape",
        "Let pass",
    ),
    ("no room for rounding", "<= 1e-9 * (1 + abs(left) + abs(right))", "== 0", "a false alarm"),
    ("too much room", "1e-9 *", "10 *", "Let pass"),
    (
        "it returns True or False",
        '    assert abs(left - right) <= 1e-9 * (1 + abs(left) + abs(right)), f"{left} and {right}"',
        "    return bool(abs(left - right) <= 1e-9 * (1 + abs(left) + abs(right)))",
        "assert …, and no return",
    ),
    (
        "the installed law",
        "    lin = linearize(f, x)",
        "    from minidl import testing\n    testing.check_adjoint(f, x)\n    return\n    lin = linearize(f, x)",
        "check_adjoint",
    ),
    (
        "it always fails",
        "    lin = linearize(f, x)",
        "    raise AssertionError('wrong')\n    lin = linearize(f, x)",
        "a false alarm",
    ),
    (
        "it looks at the name",
        "    lin = linearize(f, x)",
        "    assert 'wrong' not in f.__name__\n    lin = linearize(f, x)",
        "asks for its __name__",
    ),
    ("it never fails", "    lin = linearize(f, x)", "    return\n    lin = linearize(f, x)", "0 of"),
]
