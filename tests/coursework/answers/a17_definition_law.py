"""Task 17, solved, and what students get wrong."""

import numpy as np

from minidl.coursework import solve


def by_definition(x, w, stride, padding):
    x = np.pad(x, [(0, 0), (0, 0), (padding, padding), (padding, padding)])
    (high, wide), (h, v) = x.shape[2:], w.shape[2:]
    y = np.zeros((len(x), len(w), (high - h) // stride + 1, (wide - v) // stride + 1))
    for n, o, i, j in np.ndindex(y.shape):
        y[n, o, i, j] = (x[n, :, i * stride : i * stride + h, j * stride : j * stride + v] * w[o]).sum()
    return y


@solve("law.definition")
def law(conv2d, rng):
    for _ in range(6):
        n, c, o, h, v, stride = rng.integers(1, 4, 6)
        padding = rng.integers(0, 3)
        high, wide = h + rng.integers(0, 4), v + rng.integers(0, 4)
        x, w = rng.normal(size=(n, c, high, wide)), rng.normal(size=(o, c, h, v))
        y, expected = conv2d(x, w, int(stride), int(padding)), by_definition(x, w, stride, padding)
        assert y.shape == expected.shape, f"{y.shape} and {expected.shape}"
        assert np.abs(y - expected).max() <= 1e-10, "other values"


# --- What students get wrong: the mistake, the text above, what it becomes, and what the message has to name.

WRONG = [
    (
        "stride 1 and no padding",
        "conv2d(x, w, int(stride), int(padding)), by_definition(x, w, stride, padding)",
        "conv2d(x, w, 1, 0), by_definition(x, w, 1, 0)",
        "the stride counts for rows only",
    ),
    (
        "one channel",
        "n, c, o, h, v, stride = rng.integers(1, 4, 6)",
        "n, c, o, h, v, stride = rng.integers(1, 4, 6)\n        c = 1",
        "the first channel only",
    ),
    ("values are not compared", 'assert np.abs(y - expected).max() <= 1e-10, "other values"', "", "Let pass"),
    (
        "the formula for H' rounds up",
        "(high - h) // stride + 1, (wide - v) // stride + 1",
        "-(-(high - h) // stride) + 1, (wide - v) // stride + 1",
        "a false alarm",
    ),
    ("true convolution", "* w[o]).sum()", "* w[o, :, ::-1, ::-1]).sum()", "a false alarm"),
    (
        "the same shape always",
        "n, c, o, h, v, stride = rng.integers(1, 4, 6)",
        "n, c, o, h, v, stride = 1, 2, 2, 2, 2, 2",
        "not shown",
    ),
    (
        "it always fails",
        "    for _ in range(6):",
        "    raise AssertionError('wrong')\n    for _ in range(6):",
        "a false alarm",
    ),
    (
        "it looks at the name",
        "    for _ in range(6):",
        "    assert 'wrong' not in conv2d.__name__\n    for _ in range(6):",
        "asks for its __name__",
    ),
    ("it never fails", "    for _ in range(6):", "    return\n    for _ in range(6):", "0 of"),
]
