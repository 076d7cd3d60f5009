"""The direct encoding: a genome is the image itself, one gene a pixel (Nguyen, Yosinski and Clune 2015, §2.3)."""

from __future__ import annotations

from dataclasses import dataclass

from minidl.backend import kernels, namespace
from minidl.core import Array

from ..common.checks import check_counts
from .canvas import check_canvas
from .genome import Draws, Genome, check_positive, check_rates


@dataclass(frozen=True)
class DirectEncoding:
    """A gene for each pixel, moved with a small probability, more often by little than by much.

    shape: (C, H, W).
    bounds: the least and the greatest value of a pixel.  The first genomes are uniform noise.
    rate: the probability that a gene is moved, halved every `halved_every` generations.
    halved_every: at least 1.
    strength: η of polynomial mutation, above 0; the larger, the smaller the moves.
    crossover: the probability that a child has two parents, by simulated binary crossover.
    crossover_strength: η_c of the crossover, above 0.
    dtype: of the pixels, floating point.

    Raises: `ShapeError`, `RangeError` or `DTypeError` for parameters out of range.
    Source:  Nguyen, Yosinski and Clune 2015, §2.3.  The authors' code has crossover .5, and rates that are not halved;
    the paper does not mention crossover.

    >>> from attacks.evolution import DirectEncoding, Draws
    >>> DirectEncoding((1, 28, 28)).start(5, Draws(0, 0))["pixels"].shape
    (5, 1, 28, 28)
    """

    shape: tuple[int, int, int]
    bounds: tuple[float, float] = (0.0, 1.0)
    rate: float = 0.1
    halved_every: int = 1000
    strength: float = 15.0
    crossover: float = 0.0
    crossover_strength: float = 10.0
    dtype: str = "float32"

    def __post_init__(self) -> None:
        check_canvas("DirectEncoding", self.shape, self.bounds, self.dtype)
        check_rates("DirectEncoding", rate=self.rate, crossover=self.crossover)
        check_positive("DirectEncoding", strength=self.strength, crossover_strength=self.crossover_strength)
        check_counts("DirectEncoding", halved_every=self.halved_every)

    def start(self, count: int, draws: Draws) -> Genome:
        """Uniform noise: {"pixels": (count, C, H, W)}."""
        low, high = self.bounds
        pixels = low + (high - low) * draws.uniform(count, *self.shape, dtype=self.dtype)
        return Genome({"pixels": namespace(pixels).clip(pixels, low, high)})  # the sum may have been rounded up

    def vary(self, parents: Genome, partners: Genome, generation: int, draws: Draws) -> Genome:
        """Children: crossed with probability `crossover`, then mutated."""
        pixels = parents["pixels"]
        if self.crossover:
            strength, happens = self.crossover_strength, draws.happens(self.crossover, len(pixels))
            crossed = simulated_binary_crossover(draws, pixels, partners["pixels"], strength, self.bounds)
            pixels = namespace(pixels).where(happens[:, None, None, None], crossed, pixels)
        rate = self.rate * 0.5 ** (generation // self.halved_every)
        mutate = kernels(pixels).polynomial_mutation
        return Genome({"pixels": mutate(draws.key(), pixels, rate, self.strength, self.bounds)})

    def render(self, genomes: Genome) -> Array:
        """The genomes as they are."""
        return genomes["pixels"]


def simulated_binary_crossover(draws: Draws, x: Array, y: Array, strength: float, bounds: tuple[float, float]) -> Array:
    """One child of each pair of rows, gene by gene ½(x + y) ± ½β(y - x), within the bounds: like x.

    β = (2u)^{1/(η+1)} if u < ½, else (1/(2(1-u)))^{1/(η+1)}: it contracts a pair as often as it spreads it, like a cut
    between two bits (Deb and Agrawal 1995).  The authors of the fooling images use a variant that cannot leave the
    bounds; here children are clipped.
    """
    xp = namespace(x)
    u, side = (draws.uniform(*x.shape, dtype=str(x.dtype)) for _ in range(2))
    spread = xp.where(u < 0.5, 2 * u, 0.5 / (1 - u)) ** (1 / (strength + 1))
    half = 0.5 * spread * (y - x)
    return xp.clip(0.5 * (x + y) + xp.where(side < 0.5, half, -half), *bounds)
