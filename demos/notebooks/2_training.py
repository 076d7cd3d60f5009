# %% [markdown]
# # Training
#
# To train is to move the parameters against the gradient of a loss, a little at a time. You first do one step by
# hand, then let `fit` do some thousand, and then look at what came out: not only how often it is wrong, but where,
# and how sure it is.

# %%
import numpy as np

from attacks import plots
from minidl import grad, losses, models
from minidl.data import load_digits
from minidl.optim import SGD
from minidl.train import evaluate, fit, gradient

train, test = load_digits()  # 8,000 and 2,000 handwritten digits
train

# %%
plots.image_grid([[train.x[train.y == k][n] for k in range(10)] for n in range(4)], columns=list("0123456789"))

# %% [markdown]
# ## One step
#
# The network gives ten logits. The softmax turns them into probabilities $p$, and the loss of one digit is $-\log
# p_y$, the surprise at its label $y$. A network that knows nothing gives each digit 1/10, a surprise of $\log 10
# \approx 2.3$.

# %%
net = models.softmax_regression()
x, y = train.x[:128], train.y[:128]
loss, logits, slopes = gradient(net, x, y)
print(f"loss {loss:.4f}; slopes:", {name: slope.shape for name, slope in slopes.items()})

# %%
for name, slope in slopes.items():
    net.params[name] -= 0.1 * slope  # downhill
print(f"loss {gradient(net, x, y)[0]:.4f} after one step")

# %% [markdown]
# ## Some thousand steps
#
# `fit` takes a step for each batch, in a new order in each epoch. The network has 100 hidden units now. After each
# epoch it is also asked for digits that it does not learn from.

# %%
net = models.mlp(hidden=(100,))
net

# %%
history = fit(net, train, epochs=12, validation=test)
history

# %%
epochs = range(1, len(history) + 1)
lines = {"training": [1 - a for a in history.accuracy], "test": history.validation_error}
plots.curves(epochs, lines, title="Error, epoch by epoch", x_label="epoch", y_label="error", y_limits=None)

# %% [markdown]
# (The training error is measured with dropout on, while the network still changes: so it may lie above that of the
# test set.)
#
# ## What came out

# %%
answers = evaluate(net, test)
answers

# %%
mistakes = answers.confusion.astype(float)
np.fill_diagonal(mistakes, np.nan)
plots.matrix(mistakes, title="Mistakes", label="how many", form="{:.0f}", row_label="digit", column_label="answer")

# %% [markdown]
# The mistakes of which it was surest. Would you have read them?

# %%
worst = np.argsort(-answers.confidences * answers.wrong)[:10]
said = [f"{answers.predictions[i]} ({100 * answers.confidences[i]:.0f} %)" for i in worst]
plots.image_rows({"digit": list(test.x[worst])}, {"digit": said}, heads=[f"a {test.y[i]}" for i in worst])

# %% [markdown]
# Is it right as often as it is sure? Where the line lies above the diagonal, it is too modest; below, too sure of
# itself.

# %%
bins = answers.calibration(10)
middle = (bins.edges[1:] + bins.edges[:-1]) / 2
plots.curves(middle, {"network": bins.accuracy, "as sure as right": middle}, x_label="confidence", y_label="accuracy",
             title=f"Calibration, error {bins.error:.3f}")  # fmt: skip

# %% [markdown]
# ## Your turn
#
# **1.** Backpropagation begins at the logits. Differentiate the mean of $-\log p_y$ over $N$ digits by the logits
# $z$, on paper, and write it in NumPy. (It is very short.)


# %%
def slope_at_the_logits(z, y):
    """∂loss/∂z (N, K), of the mean cross-entropy for logits z (N, K) and labels y (N,)."""
    ### BEGIN SOLUTION
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    p[np.arange(len(y)), y] -= 1
    return p / len(y)
    ### END SOLUTION


# %%
z = np.random.default_rng(0).normal(size=(6, 10))
labels = np.array([0, 1, 2, 3, 9, 9])
expected = grad(lambda z: losses.cross_entropy(z, labels), z)
np.testing.assert_allclose(slope_at_the_logits(z, labels), expected, atol=1e-12)
print("Right: what it said, minus what it should have said.")

# %% [markdown]
# **2.** Write `fit` yourself: walk through the batches for some epochs, and take a step downhill at each, in place.
# `gradient(net, x, y)` gives the loss, the logits and the slopes; `train.batches(128)` the batches.


# %%
def my_fit(net, dataset, epochs, lr):
    """Stochastic gradient descent on net.params."""
    ### BEGIN SOLUTION
    for _ in range(epochs):
        for x, y in dataset.batches(128):
            _, _, slopes = gradient(net, x, y)
            for name, slope in slopes.items():
                net.params[name] -= np.float32(lr) * slope
    ### END SOLUTION


# %%
mine, theirs = models.softmax_regression(), models.softmax_regression()
my_fit(mine, train, epochs=5, lr=0.1)
fit(theirs, train, epochs=5, optimizer=SGD(0.1), shuffle=False)
for name in mine.params:
    np.testing.assert_allclose(mine.params[name], theirs.params[name], atol=1e-4)
print(f"Right: error {evaluate(mine, test).error:.3f}, as theirs, {evaluate(theirs, test).error:.3f}.")
