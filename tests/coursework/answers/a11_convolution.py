"""Task 11, solved, and what students get wrong."""

import numpy as np

from minidl.coursework import solve


def places(g, w, stride):
    """Each place (u, v) of a filter, with the slice of the padded image that it meets."""
    high, wide = (stride * (n - 1) + 1 for n in g.shape[2:])
    for u in range(w.shape[2]):
        for v in range(w.shape[3]):
            yield u, v, (..., slice(u, u + high, stride), slice(v, v + wide, stride))


def padded(x, padding):
    return np.pad(x, [(0, 0), (0, 0), (padding, padding), (padding, padding)])


@solve("conv2d.pull[0]")
def pull_x(g, y, x, w, stride, padding):
    out = np.zeros_like(padded(x, padding))
    for u, v, met in places(g, w, stride):
        out[met] += np.einsum("noij,oc->ncij", g, w[:, :, u, v])
    return out[:, :, padding : padding + x.shape[2], padding : padding + x.shape[3]]


@solve("conv2d.pull[1]")
def pull_w(g, y, x, w, stride, padding):
    out, image = np.zeros_like(w), padded(x, padding)
    for u, v, met in places(g, w, stride):
        out[:, :, u, v] = np.einsum("noij,ncij->oc", g, image[met])
    return out


# --- What students get wrong: the mistake, the text above, what it becomes, and what the message has to name.

WRONG = [
    (
        "the padding is not cut off",
        "return out[:, :, padding : padding + x.shape[2], padding : padding + x.shape[3]]",
        "return out",
        "Jᵀ·g of shape",
    ),
    (
        "the stride is forgotten",
        "slice(u, u + high, stride), slice(v, v + wide, stride)",
        "slice(u, u + g.shape[2]), slice(v, v + g.shape[3])",
        "adjoint",
    ),
    ("a slice one too short", "stride * (n - 1) + 1 for", "stride * (n - 1) for", "a sum left out"),
    ("overlapping windows overwrite", "out[met] += np", "out[met] = np", "adjoint"),
    (
        "a flipped filter",
        "w[:, :, u, v])\n    return out[",
        "w[:, :, -1 - u, -1 - v])\n    return out[",
        "not the other's transpose",
    ),
    (
        "the mean over the images",
        'np.einsum("noij,ncij->oc", g, image[met])',
        'np.einsum("noij,ncij->oc", g, image[met]) / len(x)',
        "adjoint",
    ),
]
