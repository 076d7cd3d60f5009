# %% [markdown]
# # Training
#
# Training moves the parameters against the gradient of a loss, in many small steps. You first take one step by hand.
# Then `fit` takes about a thousand. Then you evaluate the network: how often it is wrong, on which digits, and with
# which confidence.

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
# The network returns ten logits. The softmax turns them into probabilities $p$. The loss of one digit with the label
# $y$ is the cross-entropy, $-\log p_y$. An untrained network gives every class a probability of about 1/10, so its loss
# is about $\log 10 \approx 2.3$.

# %%
net = models.softmax_regression()
x, y = train.x[:128], train.y[:128]
loss, logits, grads = gradient(net, x, y)
print(f"loss {loss:.4f}; gradients:", {name: g.shape for name, g in grads.items()})

# %%
for name, g in grads.items():
    net.params[name] -= 0.1 * g
print(f"loss {gradient(net, x, y)[0]:.4f} after one step")

# %% [markdown]
# ## A thousand steps
#
# `fit` takes a step for each batch, and shuffles the digits before each epoch. The network now has 100 hidden units.
# With `validation`, `fit` also evaluates it after each epoch on digits that it is not trained on.

# %%
net = models.mlp(hidden=(100,))
net

# %%
history = fit(net, train, epochs=12, validation=test)
history

# %%
epochs = range(1, len(history) + 1)
lines = {"training": [1 - a for a in history.accuracy], "test": history.validation_error}
plots.curves(epochs, lines, title="Error after each epoch", x_label="epoch", y_label="error", y_limits=None)

# %% [markdown]
# (The training error is measured with dropout, while the network changes. So it may be larger than the error on the
# test set.)
#
# ## Evaluation

# %%
evaluation = evaluate(net, test)
evaluation

# %%
mistakes = evaluation.confusion.astype(float)
np.fill_diagonal(mistakes, np.nan)
plots.matrix(mistakes, title="Mistakes", label="how many", form="{:.0f}", row_label="digit", column_label="prediction")

# %% [markdown]
# These are the ten misclassified digits with the highest confidence. Can you read them?

# %%
worst = np.argsort(-evaluation.confidences * evaluation.wrong)[:10]
captions = [f"{evaluation.predictions[i]} ({100 * evaluation.confidences[i]:.0f} %)" for i in worst]
plots.image_rows({"digit": list(test.x[worst])}, {"digit": captions}, heads=[f"a {test.y[i]}" for i in worst])

# %% [markdown]
# Does the confidence agree with the accuracy? Above the diagonal the confidence is too low; below it, too high.

# %%
bins = evaluation.calibration(10)
middle = (bins.edges[1:] + bins.edges[:-1]) / 2
lines = {"network": bins.accuracy, "perfect calibration": middle}
plots.curves(middle, lines, x_label="confidence", y_label="accuracy", title=f"Calibration, error {bins.error:.3f}")

# %% [markdown]
# ## Your turn
#
# **1.** Backpropagation begins at the logits. Differentiate the mean of $-\log p_y$ over $N$ digits by the logits $z$,
# on paper. Write the result in NumPy. (It is short.)


# %%
def gradient_at_the_logits(z, y):
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
np.testing.assert_allclose(gradient_at_the_logits(z, labels), expected, atol=1e-12)
print("Right: the predicted probabilities minus the correct ones.")

# %% [markdown]
# **2.** Write `fit` yourself. For each epoch and each batch, take a step against the gradient, in place.
# `gradient(net, x, y)` returns the loss, the logits and the gradients; `train.batches(128)` yields the batches.


# %%
def my_fit(net, dataset, epochs, lr):
    """Stochastic gradient descent on net.params."""
    ### BEGIN SOLUTION
    for _ in range(epochs):
        for x, y in dataset.batches(128):
            _, _, grads = gradient(net, x, y)
            for name, g in grads.items():
                net.params[name] -= np.float32(lr) * g
    ### END SOLUTION


# %%
mine, theirs = models.softmax_regression(), models.softmax_regression()
my_fit(mine, train, epochs=5, lr=0.1)
fit(theirs, train, epochs=5, optimizer=SGD(0.1), shuffle=False)
for name in mine.params:
    np.testing.assert_allclose(mine.params[name], theirs.params[name], atol=1e-4)
print(f"Right: your error is {evaluate(mine, test).error:.3f}; that of fit is {evaluate(theirs, test).error:.3f}.")
