"""Attacks that see labels only, or not even these: images that were made for another model are tried.

Reading order:
    oracle         a classifier that returns labels, and counts its queries: `Oracle`
    hopskipjump    along its boundary, to the point that is nearest
    substitute     a network that learns to answer as the oracle does, to be attacked in its place
    linear         linear classifiers as networks, and `svm_step` against them
    neighbours     nearest neighbours with a gradient: `SoftNeighbours`
    tree_attack    the exact smallest perturbation against a decision tree
    techniques     the classifiers that Papernot et al. compare, each with its attack
"""
