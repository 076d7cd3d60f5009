"""Task 10, solved, and what students get wrong."""

from minidl.coursework import solve


@solve("reverse_walk")
def vector_jacobian_product(nodes, output, cotangent, inputs):
    cotangents = {output: cotangent}
    for index in range(output, inputs - 1, -1):
        if index in cotangents:
            g = cotangents.pop(index)
            for position, parent in nodes[index].parents:
                pulled = nodes[index].pull(position, g)
                cotangents[parent] = cotangents[parent] + pulled if parent in cotangents else pulled
    return [cotangents.get(index) for index in range(inputs)]


# --- What students get wrong: the mistake, the text above, what it becomes, and what the message has to name.

WRONG = [
    (
        "the last use counts, not the sum",
        "cotangents[parent] + pulled if parent in cotangents else pulled",
        "pulled",
        "adjoint",
    ),
    (
        "the first use counts",
        "cotangents[parent] + pulled if parent in cotangents else pulled",
        "cotangents.get(parent, pulled)",
        "adjoint",
    ),
    ("the last node is skipped", "range(output, inputs - 1, -1)", "range(output - 1, inputs - 1, -1)", "adjoint"),
    ("walked forward", "range(output, inputs - 1, -1)", "range(inputs, output + 1)", "adjoint"),
    (
        "unused nodes are not skipped",
        "        if index in cotangents:\n            g = cotangents.pop(index)",
        "        if True:\n            g = cotangents.pop(index)",
        "KeyError",
    ),
    ("0 for an input that is not used", "cotangents.get(index)", "cotangents.get(index, 0)", "None for"),
    (
        "added in place",
        "                cotangents[parent] = cotangents[parent] + pulled if parent in cotangents else pulled\n",
        "                if parent in cotangents:\n                    cotangents[parent] += pulled\n                else:\n                    cotangents[parent] = pulled\n",
        "changed in place",
    ),
]
