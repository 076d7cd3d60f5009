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
    """Genes are pixels, each moved with a small probability by a draw that prefers small moves.

    shape: (C, H, W).  bounds: of a pixel.  The first genomes are uniform noise.  rate: the probability that a gene is
    moved, halved every `halved_every` generations.  strength (η): of polynomial mutation, a number above 0;
    the greater, the smaller the moves.  crossover: the probability that a child is that of two parents, by simulated
    binary crossover of strength `crossover_strength` (η_c); the authors' code has .5 (and rates that are not halved),
    the paper does not mention it, and here it is left out unless asked for.
    Raises `ShapeError`, `RangeError` or `DTypeError` for parameters that are none.
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
        """Children: crossed if that is asked for, then mutated."""
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

    β = (2u)^{1/(η+1)} if u < ½, else (1/(2(1-u)))^{1/(η+1)}: as likely to contract a pair as to spread it, so that
    children of two numbers are spread as those of one cut between two bits are (Deb and Agrawal 1995).  The authors of
    the fooling images have a variant that cannot leave the bounds; here children are clipped.
    """
    xp = namespace(x)
    u, side = (draws.uniform(*x.shape, dtype=str(x.dtype)) for _ in range(2))
    spread = xp.where(u < 0.5, 2 * u, 0.5 / (1 - u)) ** (1 / (strength + 1))
    half = 0.5 * spread * (y - x)
    return xp.clip(0.5 * (x + y) + xp.where(side < 0.5, half, -half), *bounds)
