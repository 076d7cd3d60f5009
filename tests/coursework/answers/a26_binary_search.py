"""Task 26, solved, and what students get wrong."""

import numpy as np

from minidl.coursework import solve


@solve("search.search")
def search(attempt, n, initial, steps):
    low, high, c = np.zeros(n), np.full(n, np.inf), np.full(n, float(initial))
    least, kept = np.full(n, np.inf), None
    for _ in range(steps):
        success, distance, images = attempt(c)
        kept = images.copy() if kept is None else kept
        better = success & (distance < least)
        least[better] = distance[better]
        kept[better] = images[better]
        high = np.where(success, c, high)
        low = np.where(success, low, c)
        c = np.where(np.isfinite(high), (low + high) / 2, 10 * c)
    return least, kept


# --- What students get wrong: the mistake, the text above, what it becomes, and what the message has to name.

WRONG = [
    (
        "one bracket for all",
        "success, distance, images = attempt(c)",
        "success, distance, images = attempt(c)\n        success[:] = success.all()",
        "one bracket for all",
    ),
    ("×10 for ever", "np.where(np.isfinite(high), (low + high) / 2, 10 * c)", "10 * c", "although it has succeeded"),
    ("the last success", "success & (distance < least)", "success", "the last success instead"),
    ("failures are counted", "success & (distance < least)", "distance < least", "the distances of failures"),
    ("the last images", "kept[better] = images[better]", "kept = images", "the last images"),
    (
        "ends with the first success",
        "        high = np.where",
        "        if success.all():\n            break\n        high = np.where",
        "ends with",
    ),
    (
        "the ends are exchanged",
        "high = np.where(success, c, high)\n        low = np.where(success, low, c)",
        "low = np.where(success, c, low)\n        high = np.where(success, high, c)",
        "after a success the upper end is finite",
    ),
    (
        "a failure resets the bracket",
        "low = np.where(success, low, c)",
        "low = np.where(success, 0, c)",
        "the lower end stays",
    ),
]
