"""Every attack there is, as a function of a victim and images alone: for laws that hold of all of them.

Each entry takes a `Victim` with 5 classes, images x (N, 1, 4, 4), labels y and other labels t (N,), and the width of
the bounds, in which its lengths are given.  `FOOLING` has those that begin from nothing; they take the victim.
"""

from __future__ import annotations

from collections.abc import Callable

import attacks
from attacks import (
    FGSMAdversary,
    PGDAdversary,
    Targeted,
    apgd,
    bim,
    cw_l0,
    cw_l2,
    cw_linf,
    deepfool,
    few_pixel,
    fgsm,
    fool_cppn,
    fool_direct,
    fool_gradient,
    hopskipjump,
    jsma,
    lbfgs,
    least_likely,
    pgd,
    sign_noise,
    square,
    svm_step,
)
from minidl.train import TrainingStep

Attack = Callable[..., attacks.AttackResult]

CW = {"steps": 60, "lr": 0.05}

ATTACKS: dict[str, Attack] = {
    "fgsm": lambda v, x, y, t, w: fgsm(v, x, y, epsilon=0.1 * w),
    "fgsm, l2, to a target": lambda v, x, y, t, w: fgsm(v, x, Targeted(t), epsilon=0.5 * w, norm="l2"),
    "fgsm, l1, unbounded": lambda v, x, y, t, w: fgsm(v, x, y, epsilon=0.5 * w, norm="l1", clip=False),
    "sign_noise": lambda v, x, y, t, w: sign_noise(v, x, y, epsilon=0.1 * w, seed=3),
    "bim": lambda v, x, y, t, w: bim(v, x, y, epsilon=0.1 * w, steps=4),
    "bim, l1": lambda v, x, y, t, w: bim(v, x, y, epsilon=0.7 * w, steps=4, norm="l1"),
    "bim, momentum": lambda v, x, y, t, w: bim(v, x, y, epsilon=0.1 * w, steps=4, momentum=1.0),
    "least_likely": lambda v, x, y, t, w: least_likely(v, x, y, epsilon=0.1 * w, steps=4),
    "pgd": lambda v, x, y, t, w: pgd(v, x, Targeted(t), epsilon=0.15 * w, steps=5, restarts=2, seed=3),
    "pgd, steps by hand": lambda v, x, y, t, w: pgd(v, x, y, epsilon=0.1 * w, step=0.03 * w, steps=3),
    "pgd, l2": lambda v, x, y, t, w: pgd(v, x, y, epsilon=0.4 * w, steps=5, norm="l2", early_stop=False),
    "pgd, l2, unbounded": lambda v, x, y, t, w: pgd(v, x, y, epsilon=0.4 * w, steps=5, norm="l2", clip=False),
    "pgd, l1, unbounded": lambda v, x, y, t, w: pgd(v, x, y, epsilon=0.8 * w, steps=5, norm="l1", clip=False),
    "jsma": lambda v, x, y, t, w: jsma(v, x, Targeted(t), max_distortion=0.5),
    "jsma, darker": lambda v, x, y, t, w: jsma(v, x, Targeted(t), max_distortion=0.5, theta=-1),
    "jsma, small steps": lambda v, x, y, t, w: jsma(v, x, y, max_distortion=0.5, theta=0.3, features=1),
    "lbfgs": lambda v, x, y, t, w: lbfgs(v, x, Targeted(t), search_steps=4, steps=20),
    "deepfool": lambda v, x, y, t, w: deepfool(v, x, y, steps=10),
    "deepfool, l∞, to a target": lambda v, x, y, t, w: deepfool(v, x, Targeted(t), norm="linf", steps=10),
    "deepfool, unbounded": lambda v, x, y, t, w: deepfool(v, x, y, steps=10, clip=False),
    "cw_l2": lambda v, x, y, t, w: cw_l2(v, x, Targeted(t), binary_search_steps=5, **CW),
    "cw_l0": lambda v, x, y, t, w: cw_l0(v, x, Targeted(t), **CW),
    "cw_linf": lambda v, x, y, t, w: cw_linf(v, x, y, **CW),
    "square": lambda v, x, y, t, w: square(v, x, Targeted(t), epsilon=0.2 * w, queries=40),
    "apgd": lambda v, x, y, t, w: apgd(v, x, y, epsilon=0.1 * w, steps=8, queries=10, targets=2),
    "apgd, l2": lambda v, x, y, t, w: apgd(v, x, Targeted(t), epsilon=0.5 * w, steps=8, norm="l2"),
    "few_pixel": lambda v, x, y, t, w: few_pixel(v, x, y, pixels=2, population=12, generations=4),
    "hopskipjump": lambda v, x, y, t, w: hopskipjump(v, x, y, queries=400, probes=20),
    "hopskipjump, linf": lambda v, x, y, t, w: hopskipjump(v, x, y, queries=400, norm="linf"),
    "svm_step": lambda v, x, y, t, w: svm_step(v, x, y, epsilon=0.5 * w),
}

FOOLING: dict[str, Callable[..., attacks.evolution.FoolingResult]] = {
    "fool_direct": lambda v: fool_direct(v, shape=(1, 4, 4), generations=4, population=15, crossover=0.5),
    "fool_cppn": lambda v: fool_cppn(v, shape=(1, 4, 4), generations=4, population=15),
    "fool_gradient": lambda v: fool_gradient(v, shape=(1, 4, 4), steps=20),
}

MOMENT = TrainingStep(0, 1, 2, 3)

ADVERSARIES: dict[str, Callable[..., FGSMAdversary | PGDAdversary]] = {
    "FGSMAdversary": lambda bounds, w: FGSMAdversary(epsilon=0.1 * w, bounds=bounds),
    "PGDAdversary": lambda bounds, w: PGDAdversary(epsilon=0.1 * w, bounds=bounds, steps=3),
    "PGDAdversary, l2": lambda bounds, w: PGDAdversary(epsilon=0.5 * w, bounds=bounds, steps=3, norm="l2", clip=False),
}


def covered() -> set[str]:
    """The names of the attacks in these tables."""
    return {name.partition(",")[0] for table in (ATTACKS, FOOLING, ADVERSARIES) for name in table}
