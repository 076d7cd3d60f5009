"""Attacks within ε in L∞ of foolbox and torchattacks, on a PyTorch network.

Each maker takes the network, digits, labels and ε, and returns a call that makes adversarial images.  foolbox runs PGD.
torchattacks runs AutoAttack (Croce and Hein 2020), its four parts, and APGD on the untargeted DLR objective.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

Call = Callable[[], np.ndarray]
Maker = Callable[[Any, np.ndarray, np.ndarray, float], Call]


def foolbox_pgd(steps: int, restarts: int = 1, **options: Any) -> Maker:
    """foolbox's LinfPGD: a random start, no early stop, step size ε/30 by default."""

    def maker(net: Any, x: np.ndarray, y: np.ndarray, epsilon: float) -> Call:
        foolbox = importlib.import_module("foolbox")
        attack = foolbox.attacks.LinfPGD(steps=steps, **options)
        attack = attack.repeat(restarts) if restarts > 1 else attack
        images, labels = _on_device(net, x, y)

        def call() -> np.ndarray:
            torch.manual_seed(0)
            victim = foolbox.PyTorchModel(net, bounds=(0, 1), device=images.device)
            return attack(victim, images, labels, epsilons=epsilon)[1].cpu().numpy()

        return call

    return maker


def torchattacks_attack(name: str, **options: Any) -> Maker:
    """The class of torchattacks with this name."""

    def maker(net: Any, x: np.ndarray, y: np.ndarray, epsilon: float) -> Call:
        images, labels = _on_device(net, x, y)
        attack = getattr(importlib.import_module("torchattacks"), name)(net, eps=epsilon, **options)
        return lambda: attack(images, labels).detach().cpu().numpy()

    return maker


#: The attacks whose strength is compared, by library.
STRONGEST: dict[str, dict[str, Maker]] = {
    "foolbox": {
        "PGD-40": foolbox_pgd(40),
        "PGD-100 × 5": foolbox_pgd(100, 5, rel_stepsize=0.025),
    },
    "torchattacks": {
        "APGD, cross-entropy": torchattacks_attack("APGD", steps=100, loss="ce"),
        "APGD, DLR": torchattacks_attack("APGD", steps=100, loss="dlr"),
        "APGD-T": torchattacks_attack("APGDT", steps=100),
        "FAB-T": torchattacks_attack("FAB", steps=100, multi_targeted=True),
        "Square, 5000": torchattacks_attack("Square", n_queries=5000),
        "AutoAttack": torchattacks_attack("AutoAttack", seed=0),
    },
}


def _on_device(net: Any, x: np.ndarray, y: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    device = next(net.parameters()).device
    return torch.from_numpy(x).to(device), torch.from_numpy(y.astype(np.int64)).to(device)
