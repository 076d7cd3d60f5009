"""A substitute of an oracle: a network that learns from the oracle's labels of images that it makes itself.

Papernot et al. 2017.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minidl import Dataset, batch_jacobian, fit
from minidl.core import Array
from minidl.optim import Adam


def substitute(
    oracle: Callable[[Array], Array], S: Array, F: Any, rho_max: int = 6, lam: float = 0.1
) -> tuple[Any, Array]:
    """Algorithm 1: the substitute F, and the images S that the oracle was asked about.

    oracle: Õ, from images (N, ...) to labels (N,).
    S: S_0, the images that the attacker has, with pixels from 0 to 1.
    F: a `minidl.Sequential`, which is trained in place.
    rho_max: how many times it is trained.
    lam: λ, the step of augmentation.

    >>> import numpy as np
    >>> from attacks import plain
    >>> from minidl import models
    >>> x = np.random.default_rng(0).random((10, 4), dtype=np.float32)
    >>> F, S = plain.substitute(lambda x: (x[:, 0] > 0.5).astype(int), x, models.mlp((4,), 2, hidden=(8,)), rho_max=3)
    >>> len(S)
    40
    """
    D = oracle(S)  # 1. label S_0
    for rho in range(rho_max):
        fit(F, Dataset(S, D), epochs=10, optimizer=Adam(), seed=rho, progress=False)  # 2. train F on S_ρ
        if rho < rho_max - 1:
            J = batch_jacobian(F, S)[np.arange(len(S)), D]  # 3. J_F[Õ(x)]: of each Jacobian, the row of the label
            new = np.clip(S + lam * np.sign(J), 0, 1).astype(S.dtype)
            S, D = (
                np.concatenate([S, new]),
                np.concatenate([D, oracle(new)]),
            )  # S_{ρ+1}; only new images are asked about
    return F, S
