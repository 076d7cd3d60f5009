"""Task 10: the reverse walk, which is backpropagation.

A record is a list of nodes in the order in which they were computed.  Each node knows its parents: pairs (position,
index), where `position` says which argument of the node it is, and `index` which earlier node computed it.
``node.pull(position, g)`` pulls the node's cotangent g back to that argument.

Walk from the node `output` to the first one.  When you come to a node, all nodes that use it have been visited, so its
cotangent is complete.  Pull it back to each parent, and add up what arrives there:

    cotangent of x = Σ over all uses of x,  pulled back from each

The first `inputs` nodes of the list are the inputs: return their cotangents in a list, None for an input that the
output does not depend on.  While it is checked, every gradient of the engine goes through your function.

This is practice: minidl/core.py has it on one screen, so it gives few points.  Calling it is noticed.
"""

from minidl.coursework import solve


@solve("reverse_walk")
def vector_jacobian_product(nodes, output, cotangent, inputs):
    """nodes: a list; output: an index; cotangent: of that node; inputs: how many -> a list of their cotangents."""
    raise NotImplementedError("Keep the cotangents in a dict {index: cotangent}, begin with the output's, walk down.")


# --- Below: how it is checked.  Not handed out. ------------------------------------------------------------

import numpy as np

from minidl import core, grad, linearize, losses, ops
from minidl.coursework.networks import classified, network
from minidl.coursework.pictures import images
from minidl.coursework.rules import close, rule_parts, st, trains_lenet
from minidl.coursework.task import Part, Task
from minidl.testing import Case, Patch
from minidl.testing.drawing import arrays
from minidl.testing.zoo import CASES


class around(Patch):  # used as a function is
    """The engine with the student's walk in place of its own."""

    def __init__(self, solution):
        super().__init__()
        self.solution = solution

    def walk(self, nodes, output, cotangent, inputs):
        pulled = self.solution["reverse_walk"](nodes, output, cotangent, inputs)
        if not isinstance(pulled, list) or len(pulled) != inputs:
            got = f"{len(pulled)} of them" if isinstance(pulled, list) else type(pulled).__name__
            raise AssertionError(f"the walk returns {got}; expected a list of {inputs} cotangents, one for each input")
        for i, g in enumerate(pulled):
            if g is not None and not hasattr(g, "shape"):
                raise AssertionError(
                    f"the cotangent of input {i} is {g!r}; expected an array, or None for an input that the output "
                    "does not depend on"
                )
        return pulled

    def __enter__(self):
        self.setattr(core, "vector_jacobian_product", self.walk)
        return self


def reused(solution):
    """What is used twice, in two orders; and by a node that the output does not depend on."""

    @st.composite
    def drawn(draw):
        x = draw(arrays((3,)))
        twice = Case(lambda x: ops.sin(x) * x + x, x, lambda x: np.sin(x) * x + x, "sin(x)·x + x")
        unused = Case(lambda x: (ops.exp(x), x * x)[1], x, lambda x: x * x, "x·x, beside an exp(x) that is not used")
        chain = Case(lambda x: (x * x) * (x * x) - x, x, lambda x: x**4 - x, "x·x·x·x - x")
        return draw(st.sampled_from([twice, unused, chain]))

    return drawn()


def several_inputs(solution, seed):
    rng = np.random.default_rng(seed)
    x = {name: rng.normal(size=3) for name in ("a", "b", "c")}
    with around(solution):
        pulled = linearize(lambda p: p["a"] * p["a"] * p["c"], x).vjp(np.ones(3))
    close("the cotangent of a, in a·a·c", pulled["a"], 2 * x["a"] * x["c"])
    close("the cotangent of c, in a·a·c", pulled["c"], x["a"] ** 2)
    close("the cotangent of b, which a·a·c does not use: None in the list, and so 0", pulled["b"], np.zeros(3))


def demo(solution, path):
    net = network("mlp")
    x, y = classified(net, 8)
    with around(solution):
        gradient = grad(lambda x: losses.cross_entropy(net(x), y, "sum"), x)
    images(path, "By your walk: where each digit would have to change for the loss to grow",
           {"digit": x, "gradient": gradient})  # fmt: skip


TASK = Task(
    module=__name__,
    kind="rule",
    minutes=45,
    teaches="backpropagation is one loop over a list",
    reading="minidl/core.py, its first screen",
    needs=("04",),
    forbidden=(core.vector_jacobian_product, core.jacobian_vector_product),
    practice=True,
    parts=(
        *rule_parts(reused, {"adjoint": 1, "nested": 0.5}, around),
        *rule_parts(lambda solution: CASES["index"] | CASES["max"] | CASES["softmax"], {"stacked": 0.5}, around),
        Part("several inputs, one of them not used", 0.5, several_inputs),
        trains_lenet(around, 0.5),
    ),
    hints=(
        "Visit the indices output, output - 1, …, inputs.  Skip a node that has no cotangent: nothing that the output "
        "depends on has used it.",
        "If a parent has a cotangent already, add to it: a + b, which makes a new array, and not +=.",
        "At the end: [cotangents.get(i) for i in range(inputs)].",
    ),
    demo=demo,
)
