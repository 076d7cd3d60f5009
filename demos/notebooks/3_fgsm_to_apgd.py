# %% [markdown]
# # From FGSM to APGD
#
# Training follows the gradient of the loss in the *parameters*, to decrease the loss. An attack follows the gradient in
# the *pixels*, to increase it. You first attack a network with one step, then with many. Then you attack a network that
# looks more robust than it is.

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
# direction that increases the loss:
#
# $$x' = x + \varepsilon \operatorname{sign}\bigl(\nabla_x J(x, y)\bigr) .$$

# %%
x, y = test.x[:500], test.y[:500]
attacked, noisy = fgsm(net, x, y, epsilon=0.15), sign_noise(net, x, y, epsilon=0.15)
print(attacked.summary())
print(noisy.summary())

# %%
correct = np.flatnonzero(attacked.clean_pred == y)
chosen = [correct[y[correct] == k][0] for k in range(10)]
images = {"digit": x, "perturbation": attacked.perturbation, "attacked": attacked.x_adv, "random signs": noisy.x_adv}
rows = {name: list(each[chosen]) for name, each in images.items()}
predictions = {"attacked": attacked.adv_pred[chosen], "random signs": noisy.adv_pred[chosen]}
wrong = {name: list(classes != y[chosen]) for name, classes in predictions.items()}
captions = {name: [str(k) for k in classes] for name, classes in predictions.items()}
plots.image_rows(rows, captions, wrong=wrong, scales={"perturbation": (-0.15, 0.15)},
                 title="Predictions; mistakes framed")  # fmt: skip

# %% [markdown]
# Random signs move each pixel by the same amount, but change hardly any prediction. The direction makes the difference:
# along the signs of the gradient, the effects of 784 small changes add up.
#
# ## Many steps
#
# One step is optimal for a linear function. A network is not linear. So *projected gradient descent* (Madry et al.
# 2018) takes many small steps. After each step it projects the image onto the box of $\pm\varepsilon$ around the digit.

# %%
epsilons = [0.0, 0.02, 0.04, 0.06, 0.08, 0.1, 0.13, 0.16, 0.2]
curves = {
    "random signs": robustness_curve(net, x, y, sign_noise, epsilons, k=1),
    "FGSM": robustness_curve(net, x, y, fgsm, epsilons, k=1),
    "PGD, 20 steps": robustness_curve(net, x, y, pgd, epsilons, k=1, steps=20),
}
robustness_curves(curves)

# %%
curves["FGSM"]

# %% [markdown]
# ## Adversarial training
#
# Train a network on digits that FGSM has changed. FGSM then succeeds much less often. Is the network as robust as this
# suggests?

# %%
fgsm_trained = models.mlp(hidden=(200,))
fit(fgsm_trained, train, epochs=10, adversary=FGSMAdversary(epsilon=0.15))
evaluate(fgsm_trained, test)

# %%
digits, labels = x[:100], y[:100]
results = {
    "FGSM": fgsm(fgsm_trained, digits, labels, epsilon=0.15),
    "PGD, 10 steps": pgd(fgsm_trained, digits, labels, epsilon=0.15, steps=10, progress=True),
    "PGD, 40 steps, 3 starts": pgd(fgsm_trained, digits, labels, epsilon=0.15, steps=40, restarts=3, progress=True),
    "APGD": apgd(fgsm_trained, digits, labels, epsilon=0.15, steps=40, queries=500, progress=True),
}
evaluate_attack(results, fgsm_trained)

# %% [markdown]
# Each attack succeeds about as often as the one before, or more often. `apgd` (Croce and Hein 2020) adapts its step
# sizes, uses more than one loss, and ends with a search that needs no gradient. An attack that fails does not prove
# that a network is robust: a stronger attack may succeed. When you report how robust a network is, use the strongest
# attack.
#
# ## Your turn
#
# **1.** Write FGSM. `grad(f, x)` is the gradient of a scalar function of the pixels. Keep pixels in $[0, 1]$.


# %%
def my_fgsm(net, x, y, epsilon):
    """The digits x (N, 1, 28, 28), each pixel moved by ε to increase the loss at the labels y (N,)."""
    ### BEGIN SOLUTION
    gradient = grad(lambda x: losses.cross_entropy(net(x), y), x)
    return np.clip(x + np.float32(epsilon) * np.sign(gradient), 0, 1)
    ### END SOLUTION


# %%
mine, theirs = my_fgsm(net, x, y, 0.1), fgsm(net, x, y, epsilon=0.1)
assert mine.shape == x.shape
assert mine.min() >= 0
assert mine.max() <= 1
assert abs(mine - x).max() <= 0.1 + 1e-6
assert (abs(mine - theirs.x_adv) > 1e-5).mean() < 0.01
print(f"Right: {100 * (net(mine).argmax(axis=1) != y).mean():.0f} % of the digits are misclassified.")

# %% [markdown]
# **2.** Write PGD. Start at the digit itself, and take small steps by `my_fgsm`. After each step, project the image
# onto the box around the *original* digit.


# %%
def my_pgd(net, x, y, epsilon, steps, step):
    """The digits x after several steps; each pixel is moved by at most ε in all."""
    ### BEGIN SOLUTION
    x_adv = x
    for _ in range(steps):
        x_adv = my_fgsm(net, x_adv, y, step)
        x_adv = np.clip(x_adv, x - np.float32(epsilon), x + np.float32(epsilon))
    return x_adv
    ### END SOLUTION


# %%
mine = my_pgd(net, x, y, epsilon=0.06, steps=15, step=0.015)
assert abs(mine - x).max() <= 0.06 + 1e-6
one, many = ((net(images).argmax(axis=1) != y).mean() for images in (my_fgsm(net, x, y, 0.06), mine))
assert many > one
print(f"Right: {100 * one:.0f} % are misclassified after one step, {100 * many:.0f} % after fifteen.")
