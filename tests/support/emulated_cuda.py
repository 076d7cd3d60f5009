"""A stand-in for CuPy's `RawModule` on machines without a GPU: CUDA kernels compiled for the processor, and strict.

Kernels without shared memory and atomics are ordinary C++, except for a few words that a prelude defines.  Their threads
do not communicate.  So they run one after the other, from the last to the first, since results must not depend on the
order.

CuPy does not check the arguments of a kernel, and wrong ones give wrong numbers on a GPU.  Here they raise an error:
arguments of another type than the kernel declares, arrays that are not in C order, arrays of the host, empty grids, and
writing past the edge of an array.  Reading past the edge gives NaN.
"""

from __future__ import annotations

import atexit
import ctypes
import functools
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

COMPILER = next(filter(None, map(shutil.which, (os.environ.get("CXX", "c++"), "g++", "clang++"))), None)
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="no C++ compiler, such as g++, to emulate CUDA")

#: How often each kernel was launched.
launches: Counter[str] = Counter()

FLAGS = ("-O2", "-shared", "-fPIC", "-ffp-contract=off", "-fvisibility=hidden")
PRELUDE = """
#include <cmath>
using std::exp; using std::log; using std::pow; using std::sin; using std::sqrt; using std::tanh;
#define __global__
#define __device__
struct dim3 { unsigned x = 1, y = 1, z = 1; };
static thread_local dim3 gridDim, blockDim, blockIdx, threadIdx;
#line 1 "kernels.cu"
"""
LAUNCHER = """
extern "C" __attribute__((visibility("default"))) void launch_{name}(unsigned grid, unsigned block, void** arguments)
{{
    gridDim.x = grid, blockDim.x = block;
    for (blockIdx.x = grid; blockIdx.x-- > 0;)
        for (threadIdx.x = block; threadIdx.x-- > 0;)
            {name}({arguments});
}}
"""
TYPES = {"int": np.int32, "long long": np.int64, "unsigned long long": np.uint64, "unsigned char": np.uint8,
         "bool": np.bool_, "float": np.float32, "double": np.float64}  # fmt: skip
MARGIN, JUNK = 4096, 0xFF  # bytes on either side of an array, and their value: NaN as a real, -1 as an integer


class RawModule:
    """CUDA sources, compiled when the first function is asked for."""

    def __init__(self, *, code: str, options: tuple[str, ...] = ()) -> None:
        self.code, self.options = code, options

    def get_function(self, name: str) -> RawKernel:
        return RawKernel(name, _compiled(self.code, self.options), _parameters(self.code, self.options)[name])


class RawKernel:
    """A kernel: ``kernel(grid, block, arguments)``."""

    def __init__(self, name: str, compiled: ctypes.CDLL, parameters: list[str]) -> None:
        self.name, self.parameters, self.launch = name, parameters, compiled[f"launch_{name}"]

    def __call__(self, grid: tuple[int], block: tuple[int], arguments: tuple[Any, ...]) -> None:
        for size, largest in ((grid, 2**31 - 1), (block, 1024)):
            if not isinstance(size, tuple) or len(size) != 1 or not 1 <= size[0] <= largest:
                raise ValueError(f"{self.name}: a grid or block of {size}")
        if len(arguments) != len(self.parameters):
            raise TypeError(f"{self.name}: {len(self.parameters)} arguments wanted, {len(arguments)} given")
        passed = [_Argument(self.name, *pair) for pair in zip(self.parameters, arguments)]
        self.launch(grid[0], block[0], (ctypes.c_void_p * len(passed))(*(p.address for p in passed)))
        for argument in passed:
            argument.collect()
        launches[self.name] += 1


class _Argument:
    """One argument of a kernel: checked and, if it is an array, copied between two margins."""

    def __init__(self, kernel: str, declared: str, value: Any) -> None:
        self.message = f"{kernel}: {type(value).__name__} for a parameter `{declared}`"
        self.held, self.written = getattr(value, "_held", None), "const" not in declared
        self.dtype = np.dtype(TYPES[declared.replace("const", "").strip(" *")])
        if not declared.endswith("*"):
            self._require(isinstance(value, np.generic) and value.dtype == self.dtype)
            self.memory = np.array(value)
            self.address = self.memory.ctypes.data
        elif value is None:
            self.pointer = ctypes.c_void_p(None)
            self.address = ctypes.addressof(self.pointer)
        else:
            self._require(self.held is not None and self.held.dtype == self.dtype)
            self._require(self.held.flags.c_contiguous and (self.held.flags.writeable or not self.written))
            self.memory = np.full(self.held.nbytes + 2 * MARGIN, JUNK, np.uint8)
            self._inside()[:] = self.held.reshape(-1).view(np.uint8)
            self.pointer = ctypes.c_void_p(self.memory.ctypes.data + MARGIN)
            self.address = ctypes.addressof(self.pointer)

    def _require(self, condition: bool) -> None:
        if not condition:
            detail = f" of dtype {self.held.dtype}, {self.held.strides}" if self.held is not None else ""
            raise TypeError(self.message + detail)

    def _inside(self) -> np.ndarray:
        return self.memory[MARGIN:-MARGIN]

    def collect(self) -> None:
        """Copy the values that the kernel wrote back into the array."""
        if self.held is None:
            return
        if (self.memory[:MARGIN] != JUNK).any() or (self.memory[-MARGIN:] != JUNK).any():
            raise RuntimeError(f"{self.message}: written past its edge")
        if self.written:
            self.held[...] = self._inside().view(self.dtype).reshape(self.held.shape)


def _parameters(code: str, options: tuple[str, ...]) -> dict[str, list[str]]:
    """The types of the parameters of each kernel, with macros such as `real` replaced by their values."""
    macros = dict(option[2:].split("=") for option in options if option.startswith("-D"))
    code = re.sub(r"\w+", lambda word: macros.get(word[0], word[0]), code)
    kernels = re.findall(r'extern "C" __global__ void (\w+)\(([^)]*)\)', code)
    return {name: re.findall(r"\s*(.+?)\s*\b\w+(?:,|$)", declared) for name, declared in kernels}


@functools.cache
def _compiled(code: str, options: tuple[str, ...]) -> ctypes.CDLL:
    """The sources, compiled for the processor, with a launcher for each kernel; cached for this process."""
    if COMPILER is None:
        raise RuntimeError("no C++ compiler")
    launchers = [
        LAUNCHER.format(name=name, arguments=", ".join(f"*({t}*)arguments[{i}]" for i, t in enumerate(types)))
        for name, types in _parameters(code, options).items()
    ]
    stem = _folder() / hashlib.sha256(repr((code, options)).encode()).hexdigest()[:16]
    source, library = stem.with_suffix(".cpp"), stem.with_suffix(".so")
    source.write_text(PRELUDE + code + "".join(launchers), encoding="utf-8")
    flags = [option.removeprefix("-") if option.startswith("--std") else option for option in options]
    flags = [option for option in flags if option != "--fmad=false"]  # FLAGS has the compiler's own
    done = subprocess.run([COMPILER, *FLAGS, *flags, str(source), "-o", str(library)], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return ctypes.CDLL(str(library))


@functools.cache
def _folder() -> Path:
    """A folder for compiled kernels, which is removed when this process ends."""
    folder = tempfile.mkdtemp(prefix="emulated-cuda-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)
