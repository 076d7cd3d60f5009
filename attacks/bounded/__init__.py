"""Attacks that search the ball of radius ε around an image for the worst image: everything in it is allowed.

Reading order: fgsm, pgd, square, apgd.  One step along the gradient; many steps (`bim`, `least_likely`, `pgd`); a
random search, which needs no gradient; and the strongest of them, which measures robust accuracy.
"""
