"""The attacks as their papers have them: one image, plain loops, the paper's letters and steps.  *Read these first.*

What `kernels/reference` is to the kernels, these are to the attacks: they say what is computed, and the attacks of the
same names, in files of the same names, do the same for a whole batch, quickly.  A law binds each to its twin.

    from attacks import plain

    f = plain.one(net)                     # the network as the papers have it: a function of one image
    x_adv = plain.pgd(f, x[0], y[0], epsilon=.3)

f is a function of one image x, a NumPy array of pixels from 0 to 1, to its logits (K,), so that f(x).argmax() is its
answer.  y is a label to get away from, t a target; both are whole numbers.  Other parameters have the papers' names.
Each attack gives back the image that it ends with, like x, whether it succeeds or not (for the evolved ones, a list
with an image for each class).  All the rest is left to the twins: batches, checks, other bounds, norms and goals.

Comments number the steps of an algorithm.  ``X = x`` is safe: nothing here is changed in place that was handed over.

Reading order: notation, fgsm, pgd, jsma, deepfool, carlini_wagner, lbfgs, square, apgd, few_pixel, fool_direct,
fool_cppn, fool_gradient.
"""

from .apgd import apgd
from .carlini_wagner import cw_l0, cw_l2, cw_linf
from .deepfool import deepfool
from .few_pixel import few_pixel
from .fgsm import fgsm
from .fool_cppn import fool_cppn
from .fool_direct import fool_direct
from .fool_gradient import fool_gradient
from .jsma import jsma
from .lbfgs import lbfgs
from .notation import one
from .pgd import bim, least_likely, pgd
from .square import square

__all__ = [
    "one",
    "fgsm",
    "bim",
    "least_likely",
    "pgd",
    "jsma",
    "deepfool",
    "cw_l2",
    "cw_l0",
    "cw_linf",
    "lbfgs",
    "square",
    "apgd",
    "few_pixel",
    "fool_direct",
    "fool_cppn",
    "fool_gradient",
]
