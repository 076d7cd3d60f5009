"""Ways to get points without solving task 01 (or another), each with a line that has to be in what is reported."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Cheat:
    """The text of a file, the task that it is handed in for, and what the report has to say."""

    name: str
    task: str
    text: str
    says: str


HEAD = """
from minidl import ops
from minidl.coursework import solve
"""
RIGHT_FORWARD = """
@solve("softsign.forward")
def forward(x):
    return x / (1 + abs(x))
"""
ANY_SLOPE = """
@solve("softsign.slope")
def slope(y, x):
    return 0 * x
"""
MATMUL = """
@solve("matmul.pull[1]")
def pull_b(g, y, a, b):
    return ops.swapaxes(a, -1, -2) @ g
"""

CHEATS = [
    Cheat("the installed rule, handed in", "04", HEAD + MATMUL + """
pull_a = ops._matmul.pull[0]
pull_a.solves = "matmul.pull[0]"
""", "one from ops.py"),
    Cheat("the installed rule, called", "04", HEAD + MATMUL + """
own = ops._matmul.pull[0]
@solve("matmul.pull[0]")
def pull_a(g, y, a, b):
    return own(g, y, a, b)
""", "a call of the installed"),
    Cheat("the installed rule, by another path", "04", HEAD + MATMUL + """
import sys
@solve("matmul.pull[0]")
def pull_a(g, y, a, b):
    primitive = sys.modules["minidl.ops"].__dict__["_mat" + "mul"]
    return getattr(primitive.pull, "own", primitive.pull)[0](g, y, a, b)
""", "a call of the installed"),
    Cheat("a copy of the installed function, made when it runs", "10", """
import inspect
from minidl import core
from minidl.coursework import solve
scope = dict(vars(core))
exec(inspect.getsource(core.vector_jacobian_product), scope)
@solve("reverse_walk")
def vector_jacobian_product(nodes, output, cotangent, inputs):
    return scope["vector_jacobian_product"](nodes, output, cotangent, inputs)
""", "a call of the installed"),
    Cheat("the installed law", "15", """
from minidl import testing
from minidl.coursework import solve
@solve("law.adjoint")
def law(f, x, rng):
    testing.check_adjoint(f, x)
""", "a call of the installed"),
    Cheat("the seed, read from the judge's frames", "01", HEAD + RIGHT_FORWARD + """
import sys
@solve("softsign.slope")
def slope(y, x):
    frame = sys._getframe()
    while frame is not None and "seed" not in frame.f_locals:
        frame = frame.f_back
    return x * frame.f_locals["seed"] if frame else x
""", "a call of the installed _getframe"),
    Cheat("the judge's comparison, replaced", "01", HEAD + RIGHT_FORWARD + ANY_SLOPE + """
from minidl.testing import laws
laws.close = lambda *arguments: None
""", "your file changed minidl.testing.laws.close"),
    Cheat("the code of the judge's comparison, replaced", "01", HEAD + RIGHT_FORWARD + ANY_SLOPE + """
from minidl.testing import messages
messages.close.__code__ = (lambda law, actual, expected, tolerance: None).__code__
""", "your file changed minidl.testing.messages.close"),
    Cheat("the table of laws, replaced", "01", HEAD + RIGHT_FORWARD + ANY_SLOPE + """
from minidl.testing.zoo import cases
cases.CASE_LAWS.update({name: lambda case, seed: None for name in cases.CASE_LAWS})
""", "CASE_LAWS"),
    Cheat("NumPy, replaced", "01", HEAD + RIGHT_FORWARD + ANY_SLOPE + """
import numpy
numpy.asarray = lambda x, *a, **k: 0 * x
""", "your file changed numpy.asarray"),
    Cheat("a builtin, replaced", "01", HEAD + RIGHT_FORWARD + ANY_SLOPE + """
import builtins
builtins.max = lambda *a, **k: 0
""", "your file changed builtins.max"),
    Cheat("the engine changed while it is checked", "01", HEAD + RIGHT_FORWARD + """
from minidl.testing import laws
@solve("softsign.slope")
def slope(y, x):
    laws.close = lambda *arguments: None
    return 0 * x
""", "your file changed minidl.testing.laws.close"),
    Cheat("an endless loop", "01", HEAD + RIGHT_FORWARD + """
@solve("softsign.slope")
def slope(y, x):
    while True:
        pass
""", "stopped after"),
    Cheat("an endless loop that catches everything", "01", HEAD + RIGHT_FORWARD + """
import time
@solve("softsign.slope")
def slope(y, x):
    while True:
        try:
            time.sleep(0.01)
        except BaseException:
            pass
""", "stopped after"),
    Cheat("ten gigabytes", "01", HEAD + RIGHT_FORWARD + """
import numpy
@solve("softsign.slope")
def slope(y, x):
    return numpy.ones(10 * 2**30, dtype="int8")[0] * x
""", "more memory"),
    Cheat("exit(0) in the file", "01", "raise SystemExit(0)\n", "ends the process"),
    Cheat("exit(0) in a function", "01", HEAD + RIGHT_FORWARD + """
@solve("softsign.slope")
def slope(y, x):
    raise SystemExit(0)
""", "ends the process"),
    Cheat("the process ends at once", "01", HEAD + RIGHT_FORWARD + """
import os
@solve("softsign.slope")
def slope(y, x):
    os._exit(0)
""", "ended the process"),
    Cheat("a forged result, printed", "01", HEAD + RIGHT_FORWARD + ANY_SLOPE + """
import json, os, sys
for part in range(9):
    print(json.dumps({"part": part, "share": 1.0, "sentence": "", "seconds": 0.1}))
    os.write(1, (json.dumps({"part": part, "share": 1.0, "sentence": ""}) + chr(10)).encode())
    sys.__stdout__.write(json.dumps({"part": part, "share": 1.0, "sentence": ""}) + chr(10))
print(json.dumps({"ended": True}), flush=True)
""", "differences"),
    Cheat("the law is left out: nothing is called", "06", """
from minidl.coursework import solve
@solve("roll.push")
def push(t, y, x, shift, axis):
    return t
@solve("roll.pull")
def pull(g, y, x, shift, axis):
    return g
""", "differences"),
    Cheat("the engine differentiates", "05", """
from minidl import linearize, ops
from minidl.core import linear
from minidl.coursework import solve
@solve("discounted.forward")
def forward(x, gamma):
    y = [x[..., :1]]
    for i in range(1, x.shape[-1]):
        y.append(x[..., i : i + 1] + gamma * y[-1])
    return ops.concatenate(y, axis=-1)
@solve("discounted.transpose")
def transpose(g, x, gamma):
    return linearize(lambda x: forward(x, gamma), x).vjp(g)
""", "a call of the installed"),
    Cheat("the program's name, looked at", "15", """
from minidl.coursework import solve
@solve("law.adjoint")
def law(f, x, rng):
    assert "wrong" not in getattr(f, "__name__", "")
""", "asks for its __name__"),
    Cheat("the judge's frames, looked at by inspect", "15", """
import inspect
from minidl.coursework import solve
@solve("law.adjoint")
def law(f, x, rng):
    assert "wrong" not in str(inspect.stack()[1].frame.f_locals.get("program"))
""", "_getframe"),
]  # fmt: skip
