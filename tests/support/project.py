"""What tests of the whole project go through: `ROOT`, its folder, and `MODULES`, every module of both packages.

The tasks of the coursework are left out: their functions are stubs and checks, which tests/coursework looks at.
"""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

import attacks
import minidl

ROOT = Path(minidl.__file__).resolve().parents[1]
MODULES = [
    importlib.import_module(module.name)
    for package in (minidl, attacks)
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    if not module.name.startswith("minidl.coursework.tasks.")
]
