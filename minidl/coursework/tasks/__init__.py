"""The tasks, one file each: above the cut the hand-out, below it the check, the hints and the picture.

Reading order:
    t01_softsign    an elementwise operation
    t22_fgsm        an attack: one step along the sign of the gradient
    t23_pgd_with_restarts an attack: many steps, projected, from several random starts
    t24_jsma_pair   an attack: which two pixels to change
    t25_deepfool    an attack: steps to the nearest decision boundary
    t26_binary_searchan attack: the search for c, for each example by itself
"""
