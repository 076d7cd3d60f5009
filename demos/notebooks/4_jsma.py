# %% [markdown]
# # JSMA, step by step
#
# FGSM changes every pixel a little. The *Jacobian-based saliency map attack* (Papernot et al. 2016) changes few pixels,
# each as much as possible, towards a class of your choice. It chooses the pixels by the Jacobian. In this notebook you
# run it step by step.

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
# Take a digit, and another class as the target. The forward derivative $\partial Z_k / \partial x_i$ is the change of
# each logit with each pixel.

# %%
first = int(np.flatnonzero(net(test.x[:100]).argmax(axis=1) == test.y[:100])[0])
x, label = test.x[first : first + 1], int(test.y[first])
target = (label + 3) % 10
J = forward_derivative(net, x)[0]  # (10, 1, 28, 28)
alpha = J[target]  # the effect of a lighter pixel on the logit of the target
beta = J.sum(axis=0) - alpha  # its effect on the sum of all other logits
largest = float(np.quantile(abs(np.stack([alpha, beta / 9])), 0.995))
print(f"a {label}; α for the target {target}; β/9, the mean effect on the other logits")
rows = {f"a {label}": [x[0]], "α": [alpha], "β/9": [beta / 9]}
plots.image_rows(rows, scales=dict.fromkeys(("α", "β/9"), (-largest, largest)))

# %% [markdown]
# A pixel is useful if $\alpha > 0$ and $\beta < 0$: a lighter pixel then increases the logit of the target and
# decreases the sum of the others. The saliency map is $\alpha\,|\beta|$ where both conditions hold, and 0 elsewhere.

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
# Few single pixels fulfil both conditions. So the paper takes *pairs*: the two pixels $p, q$ with the largest
# $-(\alpha_p + \alpha_q)(\beta_p + \beta_q)$, where the sums must fulfil the conditions. Both pixels become white, and
# the Jacobian is computed again.
#
# Here is that loop. It tries all pairs of pixels that are not white yet. It computes the Jacobian in reverse mode: ten
# vjps are cheaper than 784 jvps.


# %%
def best_pair(alpha, beta, free):
    """The pair of free features with the largest -αβ, among pairs with α > 0 and β < 0; and whether there is one."""
    a, b = alpha[:, None] + alpha[None, :], beta[:, None] + beta[None, :]
    allowed = (a > 0) & (b < 0) & free[:, None] & free[None, :] & ~np.eye(len(alpha), dtype=bool)
    saliency = np.where(allowed, -a * b, -np.inf)
    p, q = np.unravel_index(saliency.argmax(), saliency.shape)
    return (p, q), bool(allowed[p, q])


x_adv, path = x.copy(), [x[0].copy()]
for _ in range(56):  # 14.5 % of the pixels, as in the paper
    if net(x_adv).argmax() == target:
        break
    J = batch_jacobian(net, x_adv)[0].reshape(10, 784)
    pair, exists = best_pair(J[target], J.sum(axis=0) - J[target], x_adv.reshape(-1) < 1)
    if not exists:
        break
    x_adv.reshape(-1)[list(pair)] = 1
    path.append(x_adv[0].copy())
steps = len(path) - 1
print(f"after {steps} steps the network classifies this {label} as a {net(x_adv).argmax()}")

# %%
chosen = np.unique(np.linspace(0, steps, 8).round().astype(int))
predictions = net(np.stack([path[i] for i in chosen])).argmax(axis=1)
plots.image_rows({"digit": [path[i] for i in chosen]}, {"digit": [f"a {k}" for k in predictions]},
                 heads=[f"step {i}" for i in chosen], wrong={"digit": list(predictions != label)})  # fmt: skip

# %% [markdown]
# `jsma` takes the same steps. It finds the best pair without trying all 300,000, and attacks many digits at once. Here
# it turns the digit into each of the nine others.

# %%
result = jsma(net, x, Targeted(np.array([target])))
print(f"jsma: {int(result.iterations[0])} steps; the prediction is {int(result.adv_pred[0])}")
all_targets = jsma(net, x, np.array([label]), all_targets=True, progress=True)
captions = [f"{int(n)} pixels" for n in all_targets.l0]
plots.image_rows({"digit": list(all_targets.x_adv)}, {"digit": captions}, wrong={"digit": list(~all_targets.success)},
                 heads=[f"a {t}?" for t in all_targets.goal.labels],
                 title="One digit, nine targets; failures framed")  # fmt: skip

# %% [markdown]
# ## Your turn
#
# **1.** Make pixels *darker* instead. A pixel is then useful if $\alpha < 0$ and $\beta > 0$. Write that saliency map.


# %%
def darker_saliency_map(alpha, beta):
    """|α|·β where a darker pixel is useful, and 0 elsewhere; the shape is that of alpha."""
    ### BEGIN SOLUTION
    return np.where((alpha < 0) & (beta > 0), abs(alpha) * beta, 0)
    ### END SOLUTION


# %%
expected = saliency_map(net, x, np.array([target]), theta=-1.0)[0]
np.testing.assert_allclose(darker_saliency_map(alpha, beta), expected, rtol=1e-3, atol=1e-4)
print("Right.")

# %% [markdown]
# **2.** Which class is the easiest to turn into others? Attack twenty correctly classified test digits, with nine
# targets each. Find the mean number of changed pixels for each *source* class. (`result.clean_pred` has the predicted
# class before the attack, `result.l0` the number of changed pixels.)


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
attacked = np.isin(np.arange(10), result.clean_pred[result.success])
assert (np.isfinite(means) == attacked).all()
counts = np.array([((result.clean_pred == k) & result.success).sum() for k in range(10)])
np.testing.assert_allclose(np.nansum(means * counts), result.l0[result.success].sum())
print(f"Right: the easiest class is {np.nanargmin(means)}, with {np.nanmin(means):.0f} pixels on average.")
