"""Task 12, solved, and what students get wrong."""

import numpy as np

from minidl.coursework import solve


def windows(x, size, stride):
    """(..., H', W', h·w)."""
    cut = np.lib.stride_tricks.sliding_window_view(x, size, axis=(-2, -1))[..., ::stride, ::stride, :, :]
    return cut.reshape(*cut.shape[:-2], size[0] * size[1])


@solve("max_pool2d.push")
def push(t, y, x, size, stride):
    places, tangents = windows(x, size, stride).argmax(axis=-1), windows(t, size, stride)
    places = np.broadcast_to(places, tangents.shape[:-1])[..., None]
    return np.take_along_axis(tangents, places, -1)[..., 0]


# --- What students get wrong: the mistake, the text above, what it becomes, and what the message has to name.

WRONG = [
    (
        "the largest tangent",
        "return np.take_along_axis(tangents, places, -1)[..., 0]",
        "return tangents.max(axis=-1)",
        "adjoint",
    ),
    (
        "the mean of the tangents",
        "return np.take_along_axis(tangents, places, -1)[..., 0]",
        "return tangents.mean(axis=-1)",
        "not the other's transpose",
    ),
    ("the smallest pixel", ".argmax(axis=-1)", ".argmin(axis=-1)", "adjoint"),
    ("the stride is the size", "[..., ::stride, ::stride, :, :]", "[..., :: size[0], :: size[1], :, :]", "shape"),
    (
        "one tangent only",
        "places = np.broadcast_to(places, tangents.shape[:-1])[..., None]",
        "places = places[..., None]",
        "extra ones may stand",
    ),
    ("height and width exchanged", "sliding_window_view(x, size,", "sliding_window_view(x, size[::-1],", "push"),
]
