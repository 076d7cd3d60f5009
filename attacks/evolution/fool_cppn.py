"""Patterns painted by small networks."""

from .fool_direct import fool_cppn

__all__ = ["fool_cppn"]
