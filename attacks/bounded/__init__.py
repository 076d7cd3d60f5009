"""Attacks that search the ball of radius ε around an image for the worst image in it.

Reading order:
    fgsm      one step along the gradient; and `sign_noise`, as large a step in a random direction
    pgd       many steps, each projected back onto the ball: `bim`, `least_likely`, `pgd`
    square    a random search, which needs no gradient
    apgd      steps that choose their own size, on several objectives, then `square`: for robust accuracy
"""
