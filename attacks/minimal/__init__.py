"""Attacks that search for the smallest perturbation that achieves the goal.

Reading order: jsma, deepfool, minimise, lbfgs, descent, carlini_wagner, few_pixel.  `minimise` and `descent` are the
inner loops of `lbfgs` and of `carlini_wagner`.
"""
