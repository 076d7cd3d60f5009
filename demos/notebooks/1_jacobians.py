# %% [markdown]
# # Jacobians by hand
#
# A network is a function from numbers to numbers: here from 784 pixels to 10 logits. Near one input $x$ it is nearly
# a linear map, and the matrix of that map is its Jacobian $J$, with $J_{ki} = \partial f_k / \partial x_i$.
#
# In this notebook you compute Jacobians in four ways, check that they agree, and draw one.

# %%
import numpy as np

from attacks import plots
from minidl import batch_jacobian, jacobian, linearize, losses, models, ops
from minidl.data import load_digits
from minidl.train import evaluate, fit

# %% [markdown]
# ## A function that you can differentiate by hand
#
# $f(x) = \tanh(Wx)$ maps two numbers to three. By the chain rule,
#
# $$J = \operatorname{diag}\bigl(1 - \tanh^2(Wx)\bigr)\, W .$$

# %%
W = np.array([[1.0, 2.0], [-1.0, 0.5], [0.3, -0.7]])
x = np.array([0.2, -0.4])


def f(x):
    return ops.tanh(ops.matmul(W, x))


by_hand = np.diag(1 - np.tanh(W @ x) ** 2) @ W
by_hand

# %% [markdown]
# minidl runs `f` once and records the derivative of each operation as a linear map. `jvp` pushes a direction of the
# *inputs* forward, $J \cdot t$. `vjp` pulls a direction of the *outputs* back, $J^T g$.

# %%
lin = linearize(f, x)
print("f(x)    ", lin.value)
print("J·t     ", lin.jvp(np.array([1.0, 0.0])), "the first column of J")
print("Jᵀ·g    ", lin.vjp(np.array([1.0, 0.0, 0.0])), "the first row of J")

# %% [markdown]
# So there are two ways to compute the whole matrix: one jvp for each column, or one vjp for each row. The first is
# cheap for few inputs, the second for few outputs. A network for digits has 784 inputs and 10 outputs. Which way do
# you choose?

# %%
forwards = np.stack([lin.jvp(t) for t in np.eye(2)], axis=1)
backwards = np.stack([lin.vjp(g) for g in np.eye(3)], axis=0)
for J in (forwards, backwards, jacobian(f, x)):
    np.testing.assert_allclose(J, by_hand, rtol=1e-12)

# %% [markdown]
# A fourth way needs no calculus: change one input by a small $h$, and divide the change of the output by it. This is
# slow, and never exact. With a large $h$ the function is not linear enough; with a small $h$ rounding errors dominate.
# The error is smallest in between.

# %%
sizes = 10.0 ** np.arange(-14, 0)
errors = []
for h in sizes:
    differences = np.stack([(f(x + h * e) - f(x - h * e)) / (2 * h) for e in np.eye(2)], axis=1)
    errors.append(np.log10(abs(differences - by_hand).max() + 1e-17))
plots.curves(np.log10(sizes), {"central differences": errors}, title="The error of central differences",
             x_label="log₁₀ h", y_label="log₁₀ of the largest error", y_limits=None)  # fmt: skip

# %% [markdown]
# ## A digit
#
# Softmax regression is the simplest network: its logits are $z = W^T x + b$. Its Jacobian is $W^T$ for every $x$. Train
# it for a few seconds, and draw each row of $J$ as a picture. A brighter pixel increases the logit where the picture is
# red, and decreases it where the picture is blue.

# %%
train, test = load_digits()
linear = models.softmax_regression()
fit(linear, train, epochs=15)
evaluate(linear, test)

# %%
digit = test.x[:1]
J = batch_jacobian(linear, digit)  # (1, 10, 1, 28, 28): one example, ten logits, 784 pixels
largest = float(abs(J).max())
plots.image_rows({"∂logit/∂pixel": list(J[0])}, scales={"∂logit/∂pixel": (-largest, largest)}, heads=list("0123456789"),
                 title="The Jacobian of softmax regression")  # fmt: skip

# %% [markdown]
# With hidden layers, $J$ depends on $x$. Here are the rows of the predicted class for eight digits. Each row shows
# which pixels increase the logit of the predicted class if they change a little. The third notebook does the opposite.

# %%
net = models.mlp(hidden=(100,))
fit(net, train, epochs=8)
eight = test.take(8)
predictions = net(eight.x).argmax(axis=1)
rows = batch_jacobian(net, eight.x)[np.arange(8), predictions]
largest = float(np.quantile(abs(rows), 0.995))
plots.image_rows({"digit": list(eight.x), "row of J": list(rows)}, {"digit": [f"a {k}?" for k in predictions]},
                 scales={"row of J": (-largest, largest)})  # fmt: skip

# %% [markdown]
# ## Your turn
#
# **1.** You can write down the Jacobian of the softmax $p_k = e^{z_k} / \sum_j e^{z_j}$: differentiate $p_k$ by $z_i$,
# once for $i = k$ and once for $i \neq k$. Write the result as a matrix, without `jacobian`.


# %%
def jacobian_of_softmax(z):
    """∂p/∂z, (K, K), for logits z (K,)."""
    ### BEGIN SOLUTION
    p = np.exp(z - z.max())
    p /= p.sum()
    return np.diag(p) - np.outer(p, p)
    ### END SOLUTION


# %%
z = np.array([1.0, -2.0, 0.5, 3.0])
np.testing.assert_allclose(jacobian_of_softmax(z), jacobian(losses.softmax, z), rtol=1e-10)
np.testing.assert_allclose(jacobian_of_softmax(z).sum(axis=0), 0, atol=1e-12)
print("Right. Its columns sum to 0. Can you say why?")

# %% [markdown]
# **2.** Two layers: $f(x) = W_2 \tanh(W_1 x)$. Multiply the Jacobians of the layers in the right order.


# %%
def jacobian_of_two_layers(W1, W2, x):
    """∂f/∂x for f(x) = W2 tanh(W1 x)."""
    ### BEGIN SOLUTION
    return W2 @ np.diag(1 - np.tanh(W1 @ x) ** 2) @ W1
    ### END SOLUTION


# %%
rng = np.random.default_rng(0)
W1, W2, x = rng.normal(size=(5, 4)), rng.normal(size=(3, 5)), rng.normal(size=4)
expected = jacobian(lambda x: ops.matmul(W2, ops.tanh(ops.matmul(W1, x))), x)
np.testing.assert_allclose(jacobian_of_two_layers(W1, W2, x), expected, rtol=1e-10)
print("Right. The Jacobian of a deeper network is the same product with more factors.")
