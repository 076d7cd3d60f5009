"""attacks: the literature of adversarial examples, on minidl.

Reading order: goal, victim, norms, result (what every attack shares), then the attacks, one file per family:
gradient_sign.  plots draws what they found.
"""

from .goal import Goal, Targeted, Untargeted
from .gradient_sign import fgsm, sign_noise
from .result import AttackResult
from .victim import Victim

__all__ = ["AttackResult", "Goal", "Targeted", "Untargeted", "Victim", "fgsm", "sign_noise"]
