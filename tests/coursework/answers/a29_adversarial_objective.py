"""Task 29, solved, and what students get wrong."""

from minidl import grad, losses, ops
from minidl.coursework import solve


@solve("objective.objective")
def objective(net, params, x, y, alpha, epsilon):
    def J(x):
        return losses.cross_entropy(net.apply(params, x), y)

    g = grad(J, x)
    x_adv = ops.stop_gradient(ops.clip(x + epsilon * ops.sign(g), 0, 1))
    return alpha * J(x) + (1 - alpha) * J(x_adv)


# --- What students get wrong: the mistake, the text above, what it becomes, and what the message has to name.

WRONG = [
    ("α and 1 - α", "alpha * J(x) + (1 - alpha) * J(x_adv)", "(1 - alpha) * J(x) + alpha * J(x_adv)", "are exchanged"),
    ("down the loss", "x + epsilon", "x - epsilon", "a minus sign in x'"),
    ("no clip", "ops.clip(x + epsilon * ops.sign(g), 0, 1)", "x + epsilon * ops.sign(g)", "not clipped"),
    (
        "no sign",
        "ops.stop_gradient(ops.clip(x + epsilon * ops.sign(g), 0, 1))",
        "ops.clip(x + epsilon * g, 0, 1)",
        "gradient itself instead of its sign",
    ),
    (
        "x' of another network",
        "g = grad(J, x)",
        "g = grad(lambda x: losses.cross_entropy(net(x), y), x)",
        "not with params",
    ),
    ("net(x) everywhere", "net.apply(params, x)", "net(x)", "does not depend on params"),
    (
        "the adversarial term is constant",
        "(1 - alpha) * J(x_adv)",
        "(1 - alpha) * ops.stop_gradient(J(x_adv))",
        "only the clean one is trained on",
    ),
    ("the sum", "net.apply(params, x), y)", 'net.apply(params, x), y, "sum")', "the sum over the batch"),
    (
        "one loss for each example",
        "net.apply(params, x), y)\n\n    g = grad(J, x)",
        'net.apply(params, x), y, "none")\n\n    g = grad(lambda x: ops.sum(J(x)), x)',
        "one loss for each example",
    ),
]
