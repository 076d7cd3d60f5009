"""The libraries that ours is compared with: those asked for, those found, and why the others were not."""

from __future__ import annotations

import importlib
from typing import Any

from .timing import cores

#: What can be asked for; the last three work on PyTorch's network.
NAMES = ("torch", "jax", "art", "torchattacks", "foolbox")


class Peers:
    """Some of `NAMES`, imported if they are installed.  `found` says of each how it was found."""

    def __init__(self, names: list[str], gpu: bool = False) -> None:
        self.found: dict[str, str] = {}
        self.torch: Any = self._made("torch", lambda: _module("torch_peer").Torch(cores(), gpu), names)
        self.jax: Any = self._made("jax", lambda: _module("jax_peer").Jax(), names)
        self.art: Any = self._made("art", lambda: _attack("art", "art_jsma"), names)
        self.torchattacks: Any = self._made("torchattacks", lambda: _attack("torchattacks", "torchattacks_jsma"), names)
        self.foolbox: Any = self._made("foolbox", lambda: importlib.import_module("foolbox"), names)

    def _made(self, name: str, make: Any, names: list[str]) -> Any:
        """What `make` returns; None if the peer is not asked for or cannot be imported."""
        if name not in names:
            return None
        try:
            peer = make()
        except ImportError as error:
            self.found[name] = f"missing: {error}"
            return None
        self.found[name] = str(peer) if name in ("torch", "jax") else "found"
        return peer


def _module(name: str) -> Any:
    return importlib.import_module(f".{name}", __package__)


def _attack(library: str, maker: str) -> Any:
    importlib.import_module(library)
    return getattr(_module("attack_peers"), maker)
