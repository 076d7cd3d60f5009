"""Images from nothing, evolved until a network is confident that they belong to a class.

Reading order:
    genome             what evolution works on: named arrays, and how an encoding varies and draws them
    canvas             the shape, bounds and dtype of the images
    direct             an encoding: a gene for each pixel
    structure, cppn    another: small networks that paint, and how their structure changes
    archive            selection: the best genome for each class
    result             what a search returns
    checkpoints        a search on disk, to be resumed
    evolve             the loop
    fool_direct        the loop with the direct encoding
    fool_cppn          the loop with networks that paint
    fool_gradient      gradient ascent instead of evolution
"""

from .archive import Elitism, MapElites
from .cppn import CPPN
from .direct import DirectEncoding
from .evolve import evolve
from .fool_cppn import fool_cppn
from .fool_direct import fool_direct
from .fool_gradient import fool_gradient
from .genome import Draws, Encoding, Genome
from .result import FoolingResult

__all__ = [
    "CPPN",
    "DirectEncoding",
    "Draws",
    "Elitism",
    "Encoding",
    "FoolingResult",
    "Genome",
    "MapElites",
    "evolve",
    "fool_cppn",
    "fool_direct",
    "fool_gradient",
]
