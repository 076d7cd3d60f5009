"""The attacks as their papers have them: one image, plain loops, the paper's letters and steps.  *Read these first.*

These files show what is computed.  The fast attacks, with the same names in files of the same names, compute the same
for a whole batch.  A law compares each with its plain page.

    from attacks import plain

    f = plain.one(net)                     # the network as the papers have it: a function of one image
    x_adv = plain.pgd(f, x[0], y[0], epsilon=.3)

f is a function of one image x, a NumPy array of pixels from 0 to 1, to its logits (K,): f(x).argmax() is the
predicted class.  y is the label to avoid, t a target; both are whole numbers.  Other parameters have the papers' names.
Each attack returns its last image, of the shape of x, whether it succeeds or not (the evolutionary ones return a list
with an image for each class).  Batches, checks, other bounds, norms and goals are left to the fast attacks.

Comments number the steps of an algorithm.  ``X = x`` is safe: no function changes its arguments.

Reading order: notation, fgsm, pgd, jsma, deepfool, carlini_wagner, lbfgs, square, apgd, few_pixel, hopskipjump,
substitute, svm_step, tree_attack, fool_direct, fool_cppn, fool_gradient.
"""

from .apgd import apgd
from .carlini_wagner import cw_l0, cw_l2, cw_linf
from .deepfool import deepfool
from .few_pixel import few_pixel
from .fgsm import fgsm
from .fool_cppn import fool_cppn
from .fool_direct import fool_direct
from .fool_gradient import fool_gradient
from .hopskipjump import hopskipjump
from .jsma import jsma
from .lbfgs import lbfgs
from .notation import one
from .pgd import bim, least_likely, pgd
from .square import square
from .substitute import substitute
from .svm_step import svm_step
from .tree_attack import tree_attack

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
    "hopskipjump",
    "substitute",
    "svm_step",
    "tree_attack",
    "fool_direct",
    "fool_cppn",
    "fool_gradient",
]
