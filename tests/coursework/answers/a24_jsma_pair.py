"""Task 24, solved, and what students get wrong."""

import numpy as np

from minidl.coursework import solve


@solve("jsma.pair")
def pair(alpha, beta, domain):
    a = alpha[:, None] + alpha[None, :]
    b = beta[:, None] + beta[None, :]
    allowed = domain[:, None] & domain[None, :] & ~np.eye(len(alpha), dtype=bool)
    allowed = allowed & (a > 0) & (b < 0)
    values = np.where(allowed, -a * b, 0)
    if not allowed.any():
        return None
    return np.unravel_index(values.argmax(), values.shape)


# --- What students get wrong: the mistake, the text above, what it becomes, and what the message has to name.

WRONG = [
    ("no conditions on the signs", "allowed & (a > 0) & (b < 0)", "allowed & (a * b < 0)", "above 0 and below 0"),
    (
        "conditions on single pixels",
        "allowed & (a > 0) & (b < 0)",
        "allowed & ((alpha > 0) & (beta < 0))[:, None] & ((alpha > 0) & (beta < 0))",
        "each pixel alone",
    ),
    ("a pixel twice", " & ~np.eye(len(alpha), dtype=bool)", "", "twice; p and q must differ"),
    ("Γ for one of the two", "domain[:, None] & domain[None, :]", "domain[:, None]", "not in the domain"),
    ("never None", "    if not allowed.any():\n        return None\n", "", "instead of None"),
    ("a flat place", "np.unravel_index(values.argmax(), values.shape)", "0, values.argmax()", "np.unravel_index"),
    ("the best sum instead of the best product", "-a * b, 0)", "a - b, 0)", "another product"),
    (
        "loops",
        "    values = np.where(allowed, -a * b, 0)\n",
        "    values = np.zeros_like(a)\n    for p in range(len(a)):\n        for q in range(len(a)):\n            "
        "values[p, q] = -a[p, q] * b[p, q] if allowed[p, q] else 0\n            values[p, q] = max(values[p, q], 0) "
        "+ 0 * sum(range(20))\n",
        "loops over p and q",
    ),
]
