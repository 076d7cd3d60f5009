"""Images evolved to fool a network: encodings, archives and a loop to recombine, and the attacks made of them.

Reading order: genome (what evolution works on), direct and cppn with structure (two encodings), archive (who survives),
evolve (the loop), result; fooling (`fool_direct`, `fool_cppn`), gradient_ascent (`fool_gradient`), which is told the
slopes that evolution does without; differential_evolution (`few_pixel`), which changes an image instead of making one.
"""

from .archive import Elitism, MapElites
from .cppn import CPPN
from .differential_evolution import few_pixel
from .direct import DirectEncoding
from .evolve import evolve
from .fooling import fool_cppn, fool_direct
from .genome import Draws, Encoding, Genome
from .gradient_ascent import fool_gradient
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
    "few_pixel",
    "fool_cppn",
    "fool_direct",
    "fool_gradient",
]
