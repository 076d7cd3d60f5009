# %% [markdown]
# # From FGSM to APGD
#
# Training follows the gradient of the loss in the *parameters*, downhill. An attack follows its gradient in the
# *pixels*, uphill. You break a network with one step, then with many, and then you meet a network that withstands
# less than it seems.

# %%
import numpy as np

from attacks import FGSMAdversary, apgd, evaluate_attack, fgsm, pgd, plots, robustness_curve, sign_noise
from attacks.report.evaluation_plots import robustness_curves
from minidl import grad, losses, models
from minidl.data import load_digits
from minidl.train import evaluate, fit

train, test = load_digits()
net = models.mlp(hidden=(200,))
fit(net, train, epochs=8)
evaluate(net, test)

# %% [markdown]
# ## One step
#
# The *fast gradient sign method* (Goodfellow, Shlens and Szegedy 2014) moves every pixel by $\varepsilon$, in the
# direction that raises the loss:
#
# $$x' = x + \varepsilon \operatorname{sign}\bigl(\nabla_x J(x, y)\bigr) .$$

# %%
x, y = test.x[:500], test.y[:500]
attacked, noisy = fgsm(net, x, y, epsilon=0.15), sign_noise(net, x, y, epsilon=0.15)
print(attacked.summary())
print(noisy.summary())

# %%
read = np.flatnonzero(attacked.clean_pred == y)
chosen = [read[y[read] == k][0] for k in range(10)]
images = {"digit": x, "change": attacked.perturbation, "attacked": attacked.x_adv, "random signs": noisy.x_adv}
rows = {name: list(each[chosen]) for name, each in images.items()}
says = {"attacked": attacked.adv_pred[chosen], "random signs": noisy.adv_pred[chosen]}
wrong = {name: list(answers != y[chosen]) for name, answers in says.items()}
plots.image_rows(rows, {name: [str(k) for k in answers] for name, answers in says.items()}, wrong=wrong,
                 scales={"change": (-0.15, 0.15)}, title="What the network answers; mistakes framed")  # fmt: skip

# %% [markdown]
# Random signs move each pixel by as much, and do next to nothing. It is the direction that counts: in 784 dimensions,
# 784 small steps, all in agreement, add up.
#
# ## Many steps
#
# One step is right for a linear function. A network bends, so *projected gradient descent* (Madry et al. 2018) takes
# many small ones, and after each goes back into the box of $\pm\varepsilon$ around the digit.

# %%
ladder = [0.0, 0.02, 0.04, 0.06, 0.08, 0.1, 0.13, 0.16, 0.2]
curves = {
    "random signs": robustness_curve(net, x, y, sign_noise, ladder, k=1),
    "FGSM": robustness_curve(net, x, y, fgsm, ladder, k=1),
    "PGD, 20 steps": robustness_curve(net, x, y, pgd, ladder, k=1, steps=20),
}
robustness_curves(curves)

# %%
curves["FGSM"]

# %% [markdown]
# ## A network that learnt to resist
#
# Let a network learn from digits that FGSM has changed, and FGSM misleads it much less often. Is that how robust it is?

# %%
taught = models.mlp(hidden=(200,))
fit(taught, train, epochs=10, adversary=FGSMAdversary(epsilon=0.15))
evaluate(taught, test)

# %%
few, labels = x[:100], y[:100]
found = {
    "FGSM": fgsm(taught, few, labels, epsilon=0.15),
    "PGD, 10 steps": pgd(taught, few, labels, epsilon=0.15, steps=10, progress=True),
    "PGD, 40 steps, 3 starts": pgd(taught, few, labels, epsilon=0.15, steps=40, restarts=3, progress=True),
    "APGD": apgd(taught, few, labels, epsilon=0.15, steps=40, queries=500, progress=True),
}
evaluate_attack(found, taught)

# %% [markdown]
# Each attack finds at least about as much as the one before. `apgd` (Croce and Hein 2020) chooses its step sizes
# itself, tries more than one loss, and ends with a search that follows no slope at all. What no attack has broken may
# still be broken by the next: an attack that fails proves nothing. When you report how robust a network is, report
# the strongest.
#
# ## Your turn
#
# **1.** Write FGSM. `grad(f, x)` is the gradient of a scalar function of the pixels. Keep pixels in $[0, 1]$.


# %%
def my_fgsm(net, x, y, epsilon):
    """The digits x (N, 1, 28, 28), each pixel moved by ε to raise the loss at the labels y (N,)."""
    ### BEGIN SOLUTION
    slope = grad(lambda x: losses.cross_entropy(net(x), y), x)
    return np.clip(x + np.float32(epsilon) * np.sign(slope), 0, 1)
    ### END SOLUTION


# %%
mine, theirs = my_fgsm(net, x, y, 0.1), fgsm(net, x, y, epsilon=0.1)
assert mine.shape == x.shape
assert mine.min() >= 0
assert mine.max() <= 1
assert abs(mine - x).max() <= 0.1 + 1e-6
assert (abs(mine - theirs.x_adv) > 1e-5).mean() < 0.01
print(f"Right: it misleads the network on {100 * (net(mine).argmax(axis=1) != y).mean():.0f} % of the digits.")

# %% [markdown]
# **2.** Write PGD, from the digit itself: small steps by `my_fgsm`, and after each back into the box around the
# *original* digit.


# %%
def my_pgd(net, x, y, epsilon, steps, step):
    """The digits x after several steps, none of whose pixels is moved by more than ε."""
    ### BEGIN SOLUTION
    moved = x
    for _ in range(steps):
        moved = my_fgsm(net, moved, y, step)
        moved = np.clip(moved, x - np.float32(epsilon), x + np.float32(epsilon))
    return moved
    ### END SOLUTION


# %%
mine = my_pgd(net, x, y, epsilon=0.06, steps=15, step=0.015)
assert abs(mine - x).max() <= 0.06 + 1e-6
one, many = ((net(images).argmax(axis=1) != y).mean() for images in (my_fgsm(net, x, y, 0.06), mine))
assert many > one
print(f"Right: one step misleads it on {100 * one:.0f} %, fifteen on {100 * many:.0f} % of the digits.")
