"""attacks: the literature of adversarial examples, on minidl.  *Read the folder plain first.*

It has each paper's algorithm for one image, in a page.  Here is how the same is done for a whole batch.

Reading order: goal, objectives, precision, victim, checks, norms, active, result, units (what every attack shares),
then the attacks, a file per family:
gradient_sign, projected_gradient, saliency, quasi_newton, nearest_boundary, carlini_wagner, random_search, auto_pgd;
evolution, a folder of its own, whose images are bred; training, which turns attacks into teachers.  evaluate, by_class
and four_outcomes measure, transforms says what survives a camera, plots and evaluation_plots draw.
"""

from . import by_class, evaluation_plots, evolution, plain, plots, transforms
from .auto_pgd import apgd
from .carlini_wagner import cw_l0, cw_l2, cw_linf
from .evaluate import evaluate_attack, robustness_curve
from .evolution import few_pixel, fool_cppn, fool_direct, fool_gradient
from .four_outcomes import outcomes
from .goal import Goal, Targeted, Untargeted
from .gradient_sign import fgsm, sign_noise
from .nearest_boundary import deepfool
from .projected_gradient import bim, kurakin_steps, least_likely, pgd
from .quasi_newton import lbfgs
from .random_search import square
from .result import AttackResult
from .saliency import forward_derivative, jsma, saliency_map
from .training import FGSMAdversary, PGDAdversary
from .victim import Victim

__all__ = [
    "AttackResult",
    "Goal",
    "Targeted",
    "Untargeted",
    "Victim",
    "fgsm",
    "sign_noise",
    "bim",
    "least_likely",
    "pgd",
    "kurakin_steps",
    "jsma",
    "saliency_map",
    "forward_derivative",
    "lbfgs",
    "deepfool",
    "cw_l2",
    "cw_l0",
    "cw_linf",
    "square",
    "apgd",
    "evolution",
    "fool_direct",
    "fool_cppn",
    "fool_gradient",
    "few_pixel",
    "plain",
    "FGSMAdversary",
    "PGDAdversary",
    "evaluate_attack",
    "robustness_curve",
    "by_class",
    "outcomes",
    "plots",
    "evaluation_plots",
    "transforms",
]
