"""Task 19, solved, and what students get wrong."""

import numpy as np

from minidl.coursework import solve


@solve("law.initialiser")
def law(init, rng):
    inputs, units = 100, 200
    w = np.asarray(init(inputs, units, rng), dtype=float)
    assert w.shape == (inputs, units), "shape"
    z, n = w / np.sqrt(2 / inputs), inputs * units
    assert abs(z.mean()) <= 5 / n**0.5, "mean"
    assert abs((z**2).mean() - 1) <= 5 * (2 / n) ** 0.5, "variance"
    assert abs((z**4).mean() - 3) <= 5 * (96 / n) ** 0.5, "not normal"
    for rows, m in ((z, units), (z.T, inputs)):
        products = rows @ rows.T / m
        assert np.abs(products[~np.eye(len(products), dtype=bool)]).max() <= 7 / m**0.5, "not independent"
    assert not np.array_equal(w, init(inputs, units, rng)), "the same again"


# --- What students get wrong: the mistake, the text above, what it becomes, and what the message has to name.

WRONG = [
    (
        "mean and variance only",
        '    assert abs((z**4).mean() - 3) <= 5 * (96 / n) ** 0.5, "not normal"\n',
        "",
        "uniform numbers",
    ),
    ("independence is not looked at", "7 / m**0.5", "1e9", "not shown"),
    ("one standard deviation", "5 / n**0.5", "1 / n**0.5", "a false alarm"),
    ("as many inputs as units", "inputs, units = 100, 200", "inputs, units = 150, 150", "2/units"),
    ("the mean only", "    assert abs((z**2)", "    return\n    assert abs((z**2)", "Let pass"),
    (
        "it always fails",
        "    inputs, units = 100, 200",
        "    raise AssertionError('wrong')\n    inputs, units = 100, 200",
        "a false alarm",
    ),
    (
        "it looks at the name",
        "    inputs, units = 100, 200",
        "    assert 'wrong' not in init.__name__\n    inputs, units = 100, 200",
        "asks for its __name__",
    ),
    ("it never fails", "    inputs, units = 100, 200", "    return\n    inputs, units = 100, 200", "0 of"),
]
