"""The indirect encoding: a genome is a small network that, asked for each pixel, paints the image (a CPPN).

Compositional pattern-producing networks (Stanley 2007) compose sines, sigmoids, Gaussians and lines over the
coordinates, so that a change of one gene changes a whole pattern: regular images, with symmetries and repetitions.
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
    """Networks from a pixel's x, y, radius and 1 to its C values, whose structure evolves as in NEAT.

    shape: (C, H, W).  bounds: of a pixel, which is |output|, never above 1, scaled to them.  x and y run from -1 to 1.
    The first genomes have no hidden neuron, and a weight within ±limit from every input to every output.  A child's
    weights and functions change with probability `rate` each (weights by polynomial mutation of that strength), and the
    structure with the probabilities `add_connection` … `delete_neuron`, one of each at most.  neurons: how many hidden
    ones a genome may have at most, which bounds memory.

    Genomes: {"weights": (N, V, V), "functions": (N, V) int8, "hidden": (N,)}; `structure` says how they are laid out.
    Defaults are those of Nguyen, Yosinski and Clune 2015, whose code has no limit to the neurons, gives x and y in
    pixels, does not move connections, and takes three outputs for hue, saturation and lightness; here they are the
    channels themselves.
    Raises `ShapeError`, `RangeError` or `DTypeError` for parameters that are none.
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
        """A mutant of each parent.  Partners have no part in it: the authors' code does not cross networks either."""
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
    """What a CPPN hears about each pixel: x, y, radius and 1, (4, H·W); x and y run from -1 to 1, 0 if there is one."""
    y, x = (np.linspace(-1, 1, n) if n > 1 else np.zeros(1) for n in (height, width))
    y, x = (grid.ravel() for grid in np.meshgrid(y, x, indexing="ij"))
    return np.stack([x, y, np.hypot(x, y), np.ones_like(x)])
