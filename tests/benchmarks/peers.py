"""The libraries that minidl is compared with, imported if they are installed."""

from __future__ import annotations

import importlib
from typing import Any

from .timing import cores

#: The names of all peers; the last three attack a PyTorch network.
NAMES = ("torch", "jax", "art", "torchattacks", "foolbox")


class Peers:
    """The peers with these names; those that are missing are None.  status: the version of each, or why it is missing."""

    def __init__(self, names: list[str], gpu: bool = False) -> None:
        self.status: dict[str, str] = {}
        self.torch: Any = self._made("torch", lambda: _module("torch_peer").Torch(cores(), gpu), names)
        self.jax: Any = self._made("jax", lambda: _module("jax_peer").Jax(), names)
        self.art: Any = self._made("art", lambda: _attack("art", "art_jsma"), names)
        self.torchattacks: Any = self._made("torchattacks", lambda: _attack("torchattacks", "torchattacks_jsma"), names)
        self.foolbox: Any = self._made("foolbox", lambda: importlib.import_module("foolbox"), names)

    def _made(self, name: str, make: Any, names: list[str]) -> Any:
        """The return value of `make`; None if the peer is not among the names, or cannot be imported."""
        if name not in names:
            return None
        try:
            peer = make()
        except ImportError as error:
            self.status[name] = f"missing: {error}"
            return None
        self.status[name] = str(peer) if name in ("torch", "jax") else "found"
        return peer


def _module(name: str) -> Any:
    return importlib.import_module(f".{name}", __package__)


def _attack(library: str, maker: str) -> Any:
    importlib.import_module(library)
    return getattr(_module("attack_peers"), maker)
