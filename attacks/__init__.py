"""attacks: the literature of adversarial examples, on minidl.

Reading order: goal, victim, norms, result (what every attack shares), then the attacks, one file per family:
gradient_sign, saliency.  evaluate measures and plots draws what they found.
"""

from . import evaluate, plots
from .goal import Goal, Targeted, Untargeted
from .gradient_sign import fgsm, sign_noise
from .projected_gradient import bim, kurakin_steps, least_likely, pgd
from .result import AttackResult
from .saliency import forward_derivative, jsma, saliency_map
from .victim import Victim

__all__ = [
    "AttackResult",
    "Goal",
    "Targeted",
    "Untargeted",
    "Victim",
    "fgsm",
    "bim",
    "least_likely",
    "pgd",
    "kurakin_steps",
    "evaluate",
    "forward_derivative",
    "jsma",
    "plots",
    "saliency_map",
    "sign_noise",
]
