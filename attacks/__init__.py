"""attacks: the literature of adversarial examples, built on minidl.

Reading order:
    plain          each paper's algorithm for one image, in a page; read it beside the paper
    common         what all attacks share: goals, norms, the network under attack, results
    bounded        the worst image within ε: `fgsm`, `bim`, `least_likely`, `pgd`, `square`, `apgd`
    minimal        the smallest perturbation: `jsma`, `deepfool`, `lbfgs`, `cw_l2`, `cw_l0`, `cw_linf`, `few_pixel`
    black_box      by labels only: `Oracle`, `hopskipjump`, `substitute`; other techniques: `svm_step`, `tree_attack`
    evolution      images from nothing: `fool_direct`, `fool_cppn`, `fool_gradient`
    adversaries    attacks on a network while it is trained
    defences       what is put in front of a network or beside it, to be attacked together with it
    transforms     what a camera does to an adversarial image
    report         measures, tables and figures

The names that you need are all here: ``from attacks import pgd, Targeted``.
"""

from . import black_box, defences, evolution, plain, transforms
from .adversaries import FGSMAdversary, PGDAdversary
from .black_box.hopskipjump import hopskipjump
from .black_box.linear import linear_network, svm_step
from .black_box.neighbours import SoftNeighbours
from .black_box.oracle import BudgetError, Oracle
from .black_box.substitute import substitute
from .black_box.tree_attack import tree_attack
from .bounded.apgd import apgd
from .bounded.fgsm import fgsm, sign_noise
from .bounded.pgd import bim, kurakin_steps, least_likely, pgd
from .bounded.square import square
from .common.goal import Goal, Targeted, Untargeted
from .common.result import AttackResult
from .common.victim import Victim
from .defences.density import kernel_density
from .defences.distillation import distill
from .defences.guarded import guarded
from .defences.roc import roc
from .defences.stacked import stacked
from .defences.uncertainty import dropout_variance
from .evolution import fool_cppn, fool_direct, fool_gradient
from .minimal.carlini_wagner import cw_l0, cw_l2, cw_linf
from .minimal.deepfool import deepfool
from .minimal.few_pixel import few_pixel
from .minimal.jsma import forward_derivative, jsma, saliency_map
from .minimal.lbfgs import lbfgs
from .report import by_class, evaluation_plots, plots
from .report.agreement import agreement
from .report.evaluate import evaluate_attack, robustness_curve
from .report.outcomes import outcomes
from .report.rubbish import rubbish
from .report.transfer import TransferMatrix, transfer_matrix

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
    "Oracle",
    "BudgetError",
    "hopskipjump",
    "substitute",
    "svm_step",
    "tree_attack",
    "linear_network",
    "SoftNeighbours",
    "evolution",
    "fool_direct",
    "fool_cppn",
    "fool_gradient",
    "few_pixel",
    "plain",
    "black_box",
    "defences",
    "stacked",
    "distill",
    "kernel_density",
    "dropout_variance",
    "roc",
    "guarded",
    "FGSMAdversary",
    "PGDAdversary",
    "evaluate_attack",
    "robustness_curve",
    "by_class",
    "outcomes",
    "agreement",
    "rubbish",
    "transfer_matrix",
    "TransferMatrix",
    "plots",
    "evaluation_plots",
    "transforms",
]
