"""The indirect encoding: a genome is a small network that computes each pixel from its coordinates (a CPPN).

Compositional pattern-producing networks (Stanley 2007) compose sines, sigmoids, Gaussians and lines of the coordinates.
A change of one gene changes a whole pattern, so that images are regular, with symmetries and repetitions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minidl.backend import asarray, kernels, namespace
from minidl.core import Array
from minidl.kernels.reference import FUNCTIONS

from ..common.checks import check_counts
from . import structure
from .canvas import check_canvas
from .genome import Draws, Genome, check_positive, check_rates
from .structure import INPUTS, Wiring


@dataclass(frozen=True)
class CPPN:
    """Networks from a pixel's x, y, radius and 1 to its C values; their structure evolves as in NEAT.

    shape: (C, H, W).  x and y run from -1 to 1.
    bounds: the least and the greatest value of a pixel.  A pixel is |output|, at most 1, scaled to them.
    neurons: the largest number of hidden neurons, which bounds memory.
    limit: weights are within ±limit.  The first genomes have no hidden neuron, and a weight from every input to every
    output.
    rate: the probability that a weight changes, and that a function does.
    strength: η of polynomial mutation of weights, above 0.
    add_connection, delete_connection, change_connection, add_neuron, delete_neuron: the probabilities of these changes,
    at most one of each for a child.
    dtype: of the pixels, floating point.

    Genomes are {"weights": (N, V, V), "functions": (N, V) int8, "hidden": (N,)}; `structure` describes them.
    Raises: `ShapeError`, `RangeError` or `DTypeError` for parameters out of range.
    Source: Nguyen, Yosinski and Clune 2015.  Their code has no limit on neurons, uses x and y in pixels, does not move
    connections, and interprets three outputs as hue, saturation and lightness; here they are the channels.

    >>> from attacks.evolution import CPPN, Draws
    >>> encoding = CPPN((1, 28, 28))
    >>> encoding.render(encoding.start(5, Draws(0, 0))).shape
    (5, 1, 28, 28)
    """

    shape: tuple[int, int, int]
    bounds: tuple[float, float] = (0.0, 1.0)
    neurons: int = 30
    limit: float = 10.0
    rate: float = 0.1
    strength: float = 15.0
    add_connection: float = 0.5
    delete_connection: float = 0.3
    change_connection: float = 0.5
    add_neuron: float = 0.5
    delete_neuron: float = 0.2
    dtype: str = "float32"

    def __post_init__(self) -> None:
        check_canvas("CPPN", self.shape, self.bounds, self.dtype)
        check_counts("CPPN", neurons=self.neurons)
        check_positive("CPPN", limit=self.limit, strength=self.strength)
        names = ("rate", "add_connection", "delete_connection", "change_connection", "add_neuron", "delete_neuron")
        check_rates("CPPN", **{name: getattr(self, name) for name in names})

    def start(self, count: int, draws: Draws) -> Genome:
        """Genomes without hidden neurons."""
        outputs, xp = self.shape[0], namespace()
        size = INPUTS + self.neurons + outputs
        weights, functions = xp.zeros((count, size, size), dtype=self.dtype), xp.zeros((count, size), dtype="int8")
        weights[:, :INPUTS, -outputs:] = (draws.uniform(count, INPUTS, outputs, dtype=self.dtype) * 2 - 1) * self.limit
        functions[:, -outputs:] = draws.below(len(FUNCTIONS), count, outputs)
        return Genome({"weights": weights, "functions": functions, "hidden": xp.zeros(count, dtype="int64")})

    def vary(self, parents: Genome, partners: Genome, generation: int, draws: Draws) -> Genome:
        """A mutant of each parent.  Partners are not used: the authors' code does not cross networks either."""
        count, net = len(parents), Wiring.of(parents, self.shape[0])
        structure.change_weights(net, draws, self.rate, self.strength, self.limit)
        structure.change_connection(net, draws.happens(self.change_connection, count), draws)
        structure.change_functions(net, draws, self.rate, len(FUNCTIONS))
        structure.add_connection(net, draws.happens(self.add_connection, count), draws, self.limit)
        structure.delete_connection(net, draws.happens(self.delete_connection, count), draws)
        structure.add_neuron(net, draws.happens(self.add_neuron, count), draws, len(FUNCTIONS))
        structure.delete_neuron(net, draws.happens(self.delete_neuron, count), draws)
        return net.genomes()

    def render(self, genomes: Genome) -> Array:
        """The images that the genomes paint."""
        channels, height, width = self.shape
        weights, (low, high) = genomes["weights"], self.bounds
        inputs = asarray(coordinates(height, width), dtype=self.dtype)
        outputs = kernels(weights).cppn(weights, genomes["functions"], inputs, channels)
        xp = namespace(weights)
        images = low + (high - low) * abs(outputs)
        return xp.minimum(images, high).reshape(len(genomes), *self.shape)  # the sum may have been rounded up


def coordinates(height: int, width: int) -> np.ndarray:
    """A CPPN's inputs for each pixel: x, y, radius and 1, (4, H·W); x and y from -1 to 1, 0 for one row or column."""
    y, x = (np.linspace(-1, 1, n) if n > 1 else np.zeros(1) for n in (height, width))
    y, x = (grid.ravel() for grid in np.meshgrid(y, x, indexing="ij"))
    return np.stack([x, y, np.hypot(x, y), np.ones_like(x)])
