"""Images from nothing: evolved to fool a network, by encodings, archives and a loop that can be recombined.

Reading order: genome (what evolution works on), canvas, direct, structure, cppn (two encodings), archive (selection),
result, checkpoints, evolve (the loop); then the attacks: fool_direct, fool_cppn, and fool_gradient, which replaces
evolution by gradient ascent.
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
