"""What every attack shares: the network under attack, the goal, what is maximised, how far an image may move.

Reading order: goal, objectives, precision, victim, checks, norms, active_set, result, run, units.
"""
