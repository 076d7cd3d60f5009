"""Defences that stand in front of a network or beside it, each to be attacked by someone who knows it.

Reading order: stacked, distillation.
"""
