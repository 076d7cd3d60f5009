"""Task 29: the adversarial objective.

If one step of FGSM changes what a network predicts, train it on images after such a step.  Goodfellow, Shlens and
Szegedy do both at once: they minimise a mixture of the loss on clean images and the loss on adversarial ones,

    J̃(θ, x, y) = α·J(θ, x, y) + (1 - α)·J(θ, x', y),    x' = x + ε·sign(∇ₓJ(θ, x, y))        (2014, §6)

The images x' are made anew in each step, against the network as it is then: the parameters θ that are given, not those
of an earlier step.  For the derivative in θ, x' is a constant: the network is trained on images that are what they are,
and not to make its own gradient point elsewhere.  Clip x' to [0, 1], which the paper does not mention.

Write `objective`.  J is the mean cross-entropy of a batch.  net.apply(params, x) runs the network with parameters of
your choice; net(x) runs it with those that it has, as constants.  The result is a scalar built of minidl operations, so
that training can take its derivative in the parameters.  Inside, params are boxes that record what is done with them:
use minidl.ops instead of NumPy for everything that is computed from them.
"""

from minidl import grad, losses, ops
from minidl.coursework import solve


@solve("objective.objective")
def objective(net, params, x, y, alpha, epsilon):
    """A network, its parameters θ (a dict), images x, labels y, α, ε -> J̃, a scalar."""
    raise NotImplementedError("Make x' by one FGSM step with params, hold it constant, and mix the two mean losses.")


# --- Below: how it is checked.  Not handed out. ------------------------------------------------------------

import numpy as np

from attacks import fgsm
from minidl import fit, layers
from minidl.core import linearize, unbox
from minidl.coursework.networks import KINDS, digits
from minidl.coursework.pictures import curves
from minidl.coursework.task import Part, Task
from minidl.models import Sequential
from minidl.optim import Adam


def small(seed):
    """A small network in float64, other parameters than its own, and a batch with pixels at the bounds."""
    rng = np.random.default_rng(seed)
    net = Sequential(layers.Flatten(), layers.Dense(12), layers.Tanh(), layers.Dense(10), input_shape=(1, 4, 4),
                     seed=seed % 2**31, dtype="float64")  # fmt: skip
    params = {name: w + 0.5 * rng.normal(size=w.shape) for name, w in net.params.items()}
    return net, params, np.clip(rng.uniform(-0.3, 1.3, size=(6, 1, 4, 4)), 0, 1), rng.integers(10, size=6)


def stepped(net, params, x, y, epsilon, direction=np.sign):
    """x + ε·sign(g), not clipped."""
    return x + epsilon * direction(grad(lambda x: losses.cross_entropy(net.apply(params, x), y), x))


def mixture(net, params, x, x_adv, y, alpha):
    J = lambda x: losses.cross_entropy(net.apply(params, x), y)
    return alpha * J(x) + (1 - alpha) * J(x_adv)


def computed(solution, net, params, x, y, alpha, epsilon):
    value = solution["objective.objective"](net, params, x, y, alpha, epsilon)
    if not hasattr(value, "shape") or isinstance(value, str):
        raise AssertionError(f"a scalar is expected, and {type(value).__name__} was returned.  End with: return …")
    if value.shape != ():
        raise AssertionError(
            f"the value has shape {value.shape}; training needs a scalar, ().  Likely cause: one loss for each example"
        )
    return value


def value(solution, seed):
    for k, (alpha, epsilon) in enumerate(((0.5, 0.1), (0.2, 0.3), (0.0, 0.1))):
        net, params, x, y = small(seed + k)
        actual = float(unbox(computed(solution, net, params, x, y, alpha, epsilon)))
        clip = lambda image: np.clip(image, 0, 1)
        right = clip(stepped(net, params, x, y, epsilon))
        expected = float(mixture(net, params, x, right, y, alpha))
        if abs(actual - expected) < 1e-9 * (1 + abs(expected)):
            continue
        raw = 2 * x - stepped(net, params, x, y, epsilon)
        flat = stepped(net, params, x, y, epsilon, lambda g: g)
        variants = {
            "α and 1 - α are exchanged": mixture(net, params, x, right, y, 1 - alpha),
            "x' is not clipped to [0, 1]": mixture(net, params, x, stepped(net, params, x, y, epsilon), y, alpha),
            "a minus sign in x', which goes down the loss": mixture(net, params, x, clip(raw), y, alpha),
            "the gradient itself instead of its sign": mixture(net, params, x, clip(flat), y, alpha),
            "x' is made by net(x), with the network's own parameters, and not with params": mixture(
                net, params, x, clip(stepped(net, net.params, x, y, epsilon)), y, alpha
            ),
            "the sum over the batch instead of the mean": len(x) * expected,
            "everything is computed with net(x) instead of params": mixture(
                net, net.params, x, clip(stepped(net, net.params, x, y, epsilon)), y, alpha
            ),
        }
        near = [name for name, other in variants.items() if abs(actual - float(other)) < 1e-9 * (1 + abs(actual))]
        raise AssertionError(
            f"α = {alpha:g}, ε = {epsilon:g}: the value is {actual:.6f}, and {expected:.6f} is expected.  Likely "
            "cause: " + (near[0] if near else "another mixture, or another x'; compute both terms apart, by hand")
        )


def gradient(solution, seed):
    net, params, x, y = small(seed)
    alpha, epsilon = 0.4, 0.1
    lin = linearize(lambda p: computed(solution, net, p, x, y, alpha, epsilon), params)
    if not lin.depends:
        raise AssertionError(
            "the value does not depend on params: training would change nothing.  Likely causes: net(x), which takes "
            "the network's own parameters as constants, instead of net.apply(params, x); or ops.stop_gradient around "
            "more than x'"
        )
    rng = np.random.default_rng(seed)
    direction = {name: rng.normal(size=w.shape) for name, w in params.items()}
    x_adv, h = np.clip(stepped(net, params, x, y, epsilon), 0, 1), 1e-5
    moved = lambda t: {name: w + t * direction[name] for name, w in params.items()}
    along = lambda a: float(mixture(net, moved(h), x, x_adv, y, a) - mixture(net, moved(-h), x, x_adv, y, a)) / (2 * h)
    pulled, expected = lin.vjp(np.ones(())), along(alpha)
    actual = float(sum((pulled[name] * direction[name]).sum() for name in params))
    if abs(actual - expected) > 1e-5 * (1 + abs(expected)):
        one, right = along(1.0), float(mixture(net, params, x, x_adv, y, alpha))
        cause = (
            "the adversarial term is cut off from the parameters, so that only the clean one is trained on: "
            "stop_gradient is for x', not for J(θ, x', y)"
            if abs(actual - alpha * one) < 1e-4 * (1 + abs(one))
            else "the clean term is cut off from the parameters: net(x) instead of net.apply(params, x)"
            if abs(actual - (expected - alpha * one)) < 1e-4 * (1 + abs(one))
            else "the value is another one as well; mend that first"
            if abs(float(unbox(lin.value)) - right) > 1e-9 * (1 + abs(right))
            else "x' is not constant: it depends on params; ops.stop_gradient(x')"
        )
        raise AssertionError(
            f"the derivative along a direction in the parameters is {actual:.6f}; by differences, with x' held "
            f"constant, it is {expected:.6f}.  Likely cause: {cause}"
        )


def plain(solution, seed):
    net, params, x, y = small(seed)
    actual = float(unbox(computed(solution, net, params, x, y, 1.0, 0.2)))
    expected = float(losses.cross_entropy(net.apply(params, x), y))
    if abs(actual - expected) > 1e-9:
        raise AssertionError(
            f"with α = 1 the value is {actual:.6f}; it should be the plain loss, {expected:.6f}.  Likely causes: "
            "α weights the adversarial term; the sum over the batch instead of the mean; net(x) instead of params"
        )
    none = float(unbox(computed(solution, net, params, x, y, 0.3, 0.0)))
    if abs(none - expected) > 1e-9:
        raise AssertionError(
            f"with ε = 0, x' is x, and the value should be the plain loss, {expected:.6f}; it is {none:.6f}.  Likely "
            "cause: weights that do not add up to 1"
        )


def trained(objective, seed, alpha, epsilon=0.1, epochs=4):
    net = KINDS["mlp"](seed % 1000)
    step = lambda net, params, x, y, moment: objective(net, params, x, y, alpha, epsilon)
    fit(net, digits().train, epochs=epochs, optimizer=Adam(3e-3), seed=seed, objective=step, progress=False)
    return net


def trains(solution, seed):
    x, y = digits().test.x[:500], digits().test.y[:500]
    errors, clean = [], []
    for alpha in (1.0, 0.5):
        net = trained(solution["objective.objective"], seed, alpha)
        errors.append(float(fgsm(net, x, y, epsilon=0.1).success.mean()))
        clean.append(float((net(x).argmax(axis=1) != y).mean()))
    if clean[1] > 0.25:
        raise AssertionError(
            f"after training with α = .5, {clean[1]:.0%} of the clean digits are misclassified; below 25 % is "
            "expected.  Look at the other parts first"
        )
    if errors[1] > 0.7 * errors[0]:
        raise AssertionError(
            f"FGSM of ε = .1: the error is {errors[0]:.0%} after plain training (α = 1), and {errors[1]:.0%} after "
            "training with α = .5; less than seven tenths is expected.  Likely causes: x' is x; a minus sign; x' is "
            "made by another network than the one that is trained"
        )


def demo(solution, path):
    x, y, radii = digits().test.x[:500], digits().test.y[:500], np.linspace(0, 0.2, 11)
    lines = {}
    for alpha in (1.0, 0.5, 0.0):
        net = trained(solution["objective.objective"], 1, alpha)
        lines[f"trained with α = {alpha:g}"] = (
            radii,
            [r.success.mean() for r in fgsm(net, x, y, epsilon=radii.tolist())],
        )
    curves(
        path, "Trained on adversarial examples, a network makes far fewer errors on them", "ε of FGSM", lines, "error"
    )


TASK = Task(
    module=__name__,
    kind="defence",
    minutes=40,
    teaches="training on adversarial examples that are made anew in every step, and held constant",
    reading="Goodfellow, Shlens and Szegedy 2014, §6; minidl/train.py, `Objective`; attacks/adversaries.py",
    needs=("22",),
    parts=(
        Part("its value", 1.5, value),
        Part("its gradient in the parameters, with x' constant", 1.5, gradient),
        Part("α = 1, and ε = 0, are plain training", 0.5, plain),
        Part("trained with it, FGSM succeeds far less often", 1.5, trains),
    ),
    hints=(
        "J = lambda x: losses.cross_entropy(net.apply(params, x), y) is the loss as a function of the images, with the "
        "parameters that are given.  You need it three times.",
        "g = grad(J, x).  It is computed from params, so that np.sign and np.clip would refuse it or cut it off: take "
        "ops.sign and ops.clip.",
        "x_adv = ops.stop_gradient(ops.clip(x + epsilon * ops.sign(g), 0, 1)), and then the mixture of J(x) and "
        "J(x_adv).",
    ),
    demo=demo,
    forbidden=("attacks",),
)
