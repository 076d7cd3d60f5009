"""JSMA of ART and torchattacks, and C&W's L2 attack of foolbox, on a PyTorch network.

Each function returns a call that makes adversarial images.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

Call = Callable[[], np.ndarray]


def art_jsma(net: Any, x: np.ndarray, targets: np.ndarray) -> Call:
    """ART changes single features, without the paper's second condition, for all images at once."""
    from art.attacks.evasion import SaliencyMapMethod
    from art.estimators.classification import PyTorchClassifier

    device = "gpu" if _device(net).type == "cuda" else "cpu"
    victim = PyTorchClassifier(net, torch.nn.CrossEntropyLoss(), (1, 28, 28), 10, clip_values=(0, 1),
                               device_type=device)  # fmt: skip
    attack = SaliencyMapMethod(victim, theta=1.0, gamma=0.145, batch_size=len(x), verbose=False)
    onehot = np.eye(10, dtype=np.float32)[targets]
    return lambda: attack.generate(x, onehot)


def torchattacks_jsma(net: Any, x: np.ndarray, targets: np.ndarray) -> Call:
    """torchattacks tries all M² pairs of features, one image after the other."""
    import torchattacks

    attack = torchattacks.JSMA(net, theta=1.0, gamma=0.145)
    attack.set_mode_targeted_by_label(quiet=True)
    images, labels = (torch.from_numpy(a).to(_device(net)) for a in (x, targets))
    return lambda: attack(images, labels).detach().cpu().numpy()


def foolbox_carlini_wagner(net: Any, x: np.ndarray, targets: np.ndarray, steps: int) -> Call:
    """foolbox: nine values of c from .001 on, Adam with step size .01; it stops early for whole batches only."""
    import foolbox

    attack = foolbox.attacks.L2CarliniWagnerAttack(binary_search_steps=9, steps=steps, stepsize=1e-2,
                                                   initial_const=1e-3)  # fmt: skip
    images, labels = (torch.from_numpy(a).to(_device(net)) for a in (x, targets.astype(np.int64)))
    victim = foolbox.PyTorchModel(net, bounds=(0, 1), device=images.device)
    goal = foolbox.criteria.TargetedMisclassification(labels)
    return lambda: attack(victim, images, goal, epsilons=None)[1].cpu().numpy()


def _device(net: Any) -> torch.device:
    return next(net.parameters()).device
