# %% [markdown]
# # JSMA, step by step
#
# FGSM changes every pixel a little. The *Jacobian-based saliency map attack* (Papernot et al. 2016) changes few, but
# as far as they go, and towards a class of your choice. It asks the Jacobian which pixels matter. Here you walk
# through it, pixel by pixel.

# %%
import numpy as np

from attacks import Targeted, forward_derivative, jsma, plots, saliency_map
from minidl import batch_jacobian, models
from minidl.data import load_digits
from minidl.optim import RMSProp
from minidl.train import evaluate, fit

train, test = load_digits()
net = models.lenet(activation="tanh")
fit(net, train, epochs=2, optimizer=RMSProp(lr=0.003))
evaluate(net, test)

# %% [markdown]
# Take a digit, and a target that it is not. The forward derivative $\partial Z_k / \partial x_i$ says how each logit
# moves with each pixel.

# %%
first = int(np.flatnonzero(net(test.x[:100]).argmax(axis=1) == test.y[:100])[0])
x, label = test.x[first : first + 1], int(test.y[first])
target = (label + 3) % 10
J = forward_derivative(net, x)[0]  # (10, 1, 28, 28)
alpha = J[target]  # what a lighter pixel does for the target
beta = J.sum(axis=0) - alpha  # and what it does for all others together
largest = float(np.quantile(abs(np.stack([alpha, beta / 9])), 0.995))
print(f"a {label}; α, for a {target}; and β/9, the mean of what it does for the others")
rows = {f"a {label}": [x[0]], "α": [alpha], "β/9": [beta / 9]}
plots.image_rows(rows, scales=dict.fromkeys(("α", "β/9"), (-largest, largest)))

# %% [markdown]
# A pixel serves the target if $\alpha > 0$ and $\beta < 0$: it lifts the target and sinks the rest. The saliency map
# is the product $\alpha\,|\beta|$ where both hold, and 0 elsewhere.

# %%
by_hand = np.where((alpha > 0) & (beta < 0), alpha * abs(beta), 0)
S = saliency_map(net, x, np.array([target]))[0]
np.testing.assert_allclose(by_hand, S, rtol=1e-3, atol=1e-4)
targets = np.array([k for k in range(10) if k != label])
maps = saliency_map(net, np.repeat(x, 9, axis=0), targets)
maps /= maps.max(axis=(1, 2, 3), keepdims=True) + 1e-12
plots.image_rows({"saliency": list(maps)}, heads=[f"for {t}" for t in targets],
                 title=f"Pixels that would turn this {label} into something else")  # fmt: skip

# %% [markdown]
# Few pixels pass that test alone. So the paper takes *pairs*: the two pixels $p, q$ with the greatest $-(\alpha_p +
# \alpha_q)(\beta_p + \beta_q)$. One may make up for what the other lacks. Both become white, and the Jacobian is
# computed anew.
#
# Here is that loop. It looks at all pairs of pixels that are not white yet. The Jacobian is the same, computed
# backwards: ten pulls are cheaper than 784 pushes.


# %%
def best_pair(alpha, beta, free):
    """The pair of free features with the greatest -αβ, among those with α > 0 and β < 0, and whether there is one."""
    a, b = alpha[:, None] + alpha[None, :], beta[:, None] + beta[None, :]
    allowed = (a > 0) & (b < 0) & free[:, None] & free[None, :] & ~np.eye(len(alpha), dtype=bool)
    worth = np.where(allowed, -a * b, -np.inf)
    p, q = np.unravel_index(worth.argmax(), worth.shape)
    return (p, q), bool(allowed[p, q])


x_adv, path = x.copy(), [x[0].copy()]
for _ in range(56):  # 14.5 % of the pixels, as in the paper
    if net(x_adv).argmax() == target:
        break
    J = batch_jacobian(net, x_adv)[0].reshape(10, 784)
    pair, found = best_pair(J[target], J.sum(axis=0) - J[target], x_adv.reshape(-1) < 1)
    if not found:
        break
    x_adv.reshape(-1)[list(pair)] = 1
    path.append(x_adv[0].copy())
steps = len(path) - 1
print(f"{steps} steps: the network takes this {label} for a {net(x_adv).argmax()}")

# %%
shown = np.unique(np.linspace(0, steps, 8).round().astype(int))
says = net(np.stack([path[i] for i in shown])).argmax(axis=1)
plots.image_rows({"digit": [path[i] for i in shown]}, {"digit": [f"a {k}" for k in says]},
                 heads=[f"step {i}" for i in shown], wrong={"digit": list(says != label)})  # fmt: skip

# %% [markdown]
# `jsma` takes the same steps. It finds the pair without looking at all 300,000, and has many digits under way at
# once. Here it turns the digit into each of the nine others.

# %%
result = jsma(net, x, Targeted(np.array([target])))
print(f"jsma: {int(result.iterations[0])} steps, to a {int(result.adv_pred[0])}")
everything = jsma(net, x, np.array([label]), all_targets=True, progress=True)
said = [f"{int(n)} pixels" for n in everything.l0]
plots.image_rows({"digit": list(everything.x_adv)}, {"digit": said}, wrong={"digit": list(~everything.success)},
                 heads=[f"a {t}?" for t in everything.goal.labels],
                 title="One digit, nine targets; failures framed")  # fmt: skip

# %% [markdown]
# ## Your turn
#
# **1.** Make digits *darker* instead: then a pixel serves the target if $\alpha < 0$ and $\beta > 0$. Write that
# saliency map.


# %%
def darker_saliency_map(alpha, beta):
    """|α|·β where a darker pixel serves the target, and 0 elsewhere; all like alpha."""
    ### BEGIN SOLUTION
    return np.where((alpha < 0) & (beta > 0), abs(alpha) * beta, 0)
    ### END SOLUTION


# %%
expected = saliency_map(net, x, np.array([target]), theta=-1.0)[0]
np.testing.assert_allclose(darker_saliency_map(alpha, beta), expected, rtol=1e-3, atol=1e-4)
print("Right.")

# %% [markdown]
# **2.** Which digit is the easiest to turn into others? Attack twenty test digits that the network reads, with all
# nine targets each, and find the mean number of pixels for each *source* class. (`result.clean_pred` is the class an
# example had before, `result.l0` the number of pixels changed.)


# %%
def mean_pixels_by_class(result):
    """The mean of l0 over the successful attacks on each class (10,), nan where there is none."""
    ### BEGIN SOLUTION
    chosen = [(result.clean_pred == k) & result.success for k in range(10)]
    return np.array([result.l0[which].mean() if which.any() else np.nan for which in chosen])
    ### END SOLUTION


# %%
twenty = test.take(np.flatnonzero(net(test.x[:100]).argmax(axis=1) == test.y[:100])[:20])
result = jsma(net, twenty.x, twenty.y, all_targets=True, progress=True)
means = mean_pixels_by_class(result)
assert means.shape == (10,)
there = np.isin(np.arange(10), result.clean_pred[result.success])
assert (np.isfinite(means) == there).all()
counts = np.array([((result.clean_pred == k) & result.success).sum() for k in range(10)])
np.testing.assert_allclose(np.nansum(means * counts), result.l0[result.success].sum())
print(f"Right: the easiest is {np.nanargmin(means)}, with {np.nanmin(means):.0f} pixels on average.")
