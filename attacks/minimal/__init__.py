"""Attacks that search for the smallest perturbation that achieves the goal.

Reading order:
    jsma                       few pixels, chosen by the forward derivative
    deepfool                   the nearest decision boundary, as if the network were linear
    minimise, lbfgs            a penalty for distance, minimised by L-BFGS
    descent, carlini_wagner    a penalty for distance, minimised by Adam: `cw_l2`, `cw_l0`, `cw_linf`
    few_pixel                  one to a few pixels, by differential evolution
"""
