"""Defences that stand in front of a network or beside it, each to be attacked by someone who knows it.

Reading order:
    stacked          autoencoders in front of a network, as one network
    distillation     a network trained on the soft labels of another
    roc              how well a score distinguishes adversarial images from clean ones
    density          a detector: images whose features are rare for the predicted class
    uncertainty      another score, by dropout; and several scores as one
    guarded          a network and its detector as one, to be attacked
"""
