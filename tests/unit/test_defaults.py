"""Every default that is documented, and every number that a paper gives, in one place: none changes unnoticed."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import Any

import pytest

import attacks
from attacks import evolution, transforms
from attacks.black_box import techniques
from attacks.bounded import apgd, square
from attacks.common import objectives
from attacks.evolution import structure
from attacks.minimal import carlini_wagner, deepfool, descent, few_pixel, jsma, minimise
from attacks.report import by_class, evaluate
from minidl import conv, derivatives, evaluation, layers, losses, models, ops, optim, schedules, sequential, train
from minidl import objectives as penalties
from minidl.data import cifar, dataset, sets
from minidl.kernels import reference
from minidl.kernels.cpu import conv as cpu_conv
from minidl.layers import He

EVERY_ATTACK = {"seed": 0, "progress": False}
CW = EVERY_ATTACK | {"confidence": 0.0, "steps": 1000, "lr": 1e-2, "initial_c": 1e-3, "abort_early": True}
NET = {"input_shape": (1, 28, 28), "classes": 10, "seed": 0, "dtype": "float32"}
FOOL = EVERY_ATTACK | {"generations": 200, "population": 200, "archive": evolution.MapElites, "checkpoint": None}
MOVED = {"bounds": (0, 1), "seed": 0}
BOUNDED = {"norm": "linf", "warm_up": 0.0, "bounds": (0.0, 1.0), "clip": True}
CANVAS = {"bounds": (0.0, 1.0), "rate": 0.1, "strength": 15.0, "dtype": "float32"}

DEFAULTS: list[tuple[Any, dict[str, Any]]] = [
    # Goodfellow et al. 2014: ε = .25 and α = .5
    (attacks.fgsm, EVERY_ATTACK | {"epsilon": 0.25, "norm": "linf", "clip": True}),
    (attacks.sign_noise, EVERY_ATTACK | {"epsilon": 0.25, "clip": True}),
    (attacks.FGSMAdversary, BOUNDED | {"epsilon": 0.25, "alpha": 0.5}),
    (attacks.bim, EVERY_ATTACK | {"epsilon": 0.3, "norm": "linf", "steps": 10, "step": None, "objective": "cross_entropy",
                                  "momentum": 0.0, "early_stop": False, "clip": True}),
    (attacks.least_likely, EVERY_ATTACK | {"epsilon": 0.3, "norm": "linf", "steps": 10, "step": None, "clip": True}),
    # Madry et al. 2018: ε = .3, 40 steps
    (attacks.pgd, EVERY_ATTACK | {"epsilon": 0.3, "norm": "linf", "steps": 40, "step": None, "restarts": 1,
                                  "random_start": True, "objective": "cross_entropy", "early_stop": True, "clip": True}),
    (attacks.PGDAdversary, BOUNDED | {"epsilon": 0.3, "alpha": 0.0, "steps": 7, "step": None, "random_start": True}),
    # Papernot et al. 2016: Υ = 14.5 %, θ = +1, pairs
    (attacks.jsma, EVERY_ATTACK | {"theta": 1.0, "max_distortion": 0.145, "features": 2, "outputs": "logits", "all_targets": False}),
    (attacks.saliency_map, {"theta": 1.0, "outputs": "logits"}),
    (jsma.is_salient, {"theta": 1.0, "outputs": "logits"}),
    (attacks.forward_derivative, {"steps": False, "chunk": None}),
    (attacks.lbfgs, EVERY_ATTACK | {"search_steps": 10, "steps": 50, "initial_c": 1.0}),
    # Moosavi-Dezfooli et al. 2016 and their code: η = .02, 50 steps
    (attacks.deepfool, EVERY_ATTACK | {"norm": "l2", "steps": 50, "overshoot": 0.02, "candidates": None, "clip": True}),
    # Carlini and Wagner 2017 and their code: 9 searches from 1e-3, Adam of 1e-2
    (attacks.cw_l2, CW | {"binary_search_steps": 9}),
    (attacks.cw_l0, CW | {"largest_c": 1e3}),
    (attacks.cw_linf, CW | {"largest_c": 1e3}),
    # Andriushchenko et al. 2020: 5,000 queries, p = .8; Croce and Hein 2020: 100 steps, 9 targets
    (attacks.square, EVERY_ATTACK | {"epsilon": 0.3, "queries": 5000, "initial_share": 0.8}),
    (attacks.apgd, EVERY_ATTACK | {"epsilon": 0.3, "norm": "linf", "steps": 100, "restarts": 1, "objective": None, "targets": 9,
                                   "queries": 5000}),
    # Su et al. 2017: population 400, 100 generations, F = .5
    (attacks.few_pixel, EVERY_ATTACK | {"pixels": 1, "population": 400, "generations": 100, "weight": 0.5}),
    # Chen et al. 2020 and their code: 100 probes in the first round
    (attacks.hopskipjump, EVERY_ATTACK | {"norm": "l2", "queries": 5000, "probes": 100, "start": None}),
    # Papernot et al. 2017: six rounds, λ = .1, ten epochs; Papernot et al. 2016: κ = 400
    (attacks.substitute, EVERY_ATTACK | {"rounds": 6, "step": 0.1, "period": None, "doublings": None, "reservoir": 400,
                                         "epochs": 10, "optimizer": None, "batch_size": 128, "warm_start": True,
                                         "checkpoint": None}),
    (attacks.svm_step, EVERY_ATTACK | {"epsilon": 5.0, "clip": True}),
    (attacks.tree_attack, EVERY_ATTACK | {"norm": "l2", "bounds": (0, 1)}),
    (attacks.SoftNeighbours, {"temperature": 1.0}),
    (attacks.linear_network, {"dtype": "float32"}),
    (attacks.Oracle, {"classes": 10, "bounds": (0, 1), "batch_size": 1000, "budget": None, "executor": None}),
    (attacks.transfer_matrix, {"progress": False}),
    (techniques.train, {"seed": 0, "epochs": 10}),
    (techniques.Technique.attack, {"epsilon": 0.3, "length": 5.0, "norm": "linf"}),
    # Nguyen et al. 2015 and their code
    (attacks.fool_direct, FOOL | {"shape": None}),
    (attacks.fool_cppn, FOOL | {"shape": None}),
    (evolution.evolve, FOOL),
    (attacks.fool_gradient, EVERY_ATTACK | {"decay": 0.01, "steps": 300, "rise": 0.03, "start": None, "shape": None}),
    (evolution.DirectEncoding, CANVAS | {"halved_every": 1000, "crossover": 0.0, "crossover_strength": 10.0}),
    (evolution.CPPN, CANVAS | {"neurons": 30, "limit": 10.0, "add_connection": 0.5, "delete_connection": 0.3,
                               "change_connection": 0.5, "add_neuron": 0.5, "delete_neuron": 0.2}),
    (attacks.Victim, {"bounds": (0, 1), "batch_size": 1000}),
    (attacks.robustness_curve, {"k": None, "goal": None}),
    (attacks.outcomes, {"groups": None, "also": None}),
    (by_class.success_matrix, {"classes": 10}),
    (by_class.distortion_matrix, {"classes": 10, "successful": True}),
    (by_class.hardness_matrix, {"classes": 10}),
    (by_class.adversarial_distance, {"theta": 1.0}),
    (by_class.mean_by_pair, {"classes": 10}),
    (by_class.vulnerability, {"classes": 10, "norm": "l2"}),
    (evaluate.RobustnessCurve, {"interrupted": False}),
    *[(getattr(transforms, name), MOVED) for name in
      ("brightness", "contrast", "gamma", "blur", "perspective", "noise", "jpeg", "photo")],
    # the engine
    (ops.sum, {"axis": None, "keepdims": False}), (ops.mean, {"axis": None, "keepdims": False}),
    (ops.max, {"axis": None, "keepdims": False}), (ops.norm, {"axis": None, "keepdims": False}),
    *[(f, {"axis": None, "keepdims": False}) for f in (ops.min, ops.prod, ops.logsumexp)],
    *[(f, {"axis": None, "keepdims": False, "ddof": 0}) for f in (ops.var, ops.std)],
    *[(f, {"axis": -1}) for f in (ops.softmax, ops.log_softmax)], *[(f, {"axis": None}) for f in (ops.squeeze, ops.flip)],
    (ops.repeat, {"axis": None}), (ops.pad, {"value": 0.0}), (ops.clip, {"low": None, "high": None}),
    (ops.transpose, {"axes": None}), (ops.concatenate, {"axis": 0}), (ops.stack, {"axis": 0}),
    (conv.conv2d, {"stride": 1, "padding": 0}), (conv.max_pool2d, {"size": 2, "stride": None, "padding": 0}),
    (conv.avg_pool2d, {"size": 2, "stride": None, "padding": 0}),
    (losses.cross_entropy, {"reduction": "mean", "check": True}), (losses.Penalty, {"l1": 0.0, "l2": 0.0}),
    (derivatives.jacobian, {"mode": "auto", "chunk": None}), (derivatives.batch_jacobian, {"mode": "auto", "chunk": None}),
    (evaluation.evaluate, {"batch_size": 1000}),
    (evaluation.Evaluation.calibration, {"bins": 10}),
    (dataset.Dataset.split, {"seed": 0}), (dataset.Dataset.batches, {"rng": None, "drop_last": False}),
    (train.fit, {"optimizer": None, "batch_size": 128, "shuffle": True, "drop_last": False, "loss": None, "penalty": None,
                 "adversary": None, "validation": None, "patience": None, "seed": 0, "checkpoint": None, "progress": True,
                 "objective": None}),
    # Kingma and Ba 2015; Tieleman and Hinton 2012 by way of Lacok 2016
    (optim.Adam, {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}),
    (optim.RMSProp, {"lr": 1e-3, "rho": 0.9, "epsilon": 1e-6, "epsilon_inside": True}),
    (optim.SGD, {"lr": 0.1, "momentum": 0.0, "nesterov": False}),
    (losses.CrossEntropy, {"label_smoothing": 0.0, "class_weights": None}),
    (schedules.StepDecay, {"factor": 0.1}), (schedules.Cosine, {"end": 0.0}), (schedules.WarmUp, {}),
    # layers and the papers' networks
    (layers.Normal, {"std": 0.01}),
    (layers.MaxPool2d, {"size": 2, "stride": None, "padding": 0}), (layers.AvgPool2d, {"size": 2, "stride": None, "padding": 0}),
    (sequential.Sequential, {"seed": 0, "dtype": "float32", "fused": True}),
    (models.softmax_regression, NET),
    (models.mlp, NET | {"hidden": (625, 625), "activation": "relu", "bias": False, "dropout": (0.2, 0.5), "init_weights": None}),
    (models.lenet, NET | {"activation": "relu", "channels": (20, 50), "hidden": 500, "init_weights": None}),
    (models.carlini, NET | {"channels": (32, 64), "hidden": 200, "dropout": 0.5}),
    (models.madry, NET | {"channels": (32, 64), "hidden": 1024}),
    (models.autoencoder, {"input_shape": (1, 28, 28), "hidden": (256, 16), "activation": "relu", "init_weights": None,
                          "seed": 0, "dtype": "float32"}),
    (penalties.Reconstruction, {"noise": 0.0}), (penalties.JacobianPenalty, {"projections": 1}),
    (penalties.jacobian_penalty, {"projections": None, "key": 0}),
    (models.vgg, NET | {"input_shape": (3, 32, 32), "depth": 11, "width": 64, "hidden": 4096, "dropout": 0.5}),
]  # fmt: skip


@pytest.mark.parametrize(("function", "expected"), DEFAULTS, ids=lambda given: getattr(given, "__name__", ""))
def test_defaults_are_those_documented(function, expected) -> None:
    parameters = inspect.signature(function).parameters.values()
    assert {p.name: p.default for p in parameters if p.default is not p.empty} == expected


def test_layers_have_biases_and_he_weights() -> None:
    for layer in (layers.Dense(3), layers.Conv2d(3, 2)):
        assert layer.bias is True
        assert layer.init_weights == He()
    assert (layers.Conv2d(3, 2).stride, layers.Conv2d(3, 2).padding) == (1, 0)


#: What papers say, and what our docstrings do.
NUMBERS = {
    (apgd, "ALPHA"): 0.75, (apgd, "RHO"): 0.75,  # Croce and Hein 2020, §3.2
    (square, "HALVED"): (10, 50, 200, 1000, 2000, 4000, 6000, 8000),  # Andriushchenko et al. 2020, §5
    (carlini_wagner, "FIXED_AT_ONCE"): 0.3,
    (descent, "STRETCH"): 1.1, (descent, "STALL"): (1e-3, 50),
    (objectives, "ROUNDING_ERRORS"): 64,
    (deepfool, "LEAST_GAP"): 1e-5, (deepfool, "DUAL"): {"l2": "l2", "linf": "l1"},
    (minimise, "MEMORY"): 10, (minimise, "HALVINGS"): 20, (minimise, "SUFFICIENT"): 1e-4, (minimise, "LEAST_GAIN"): 1e-6,
    (import_module("attacks.evolution.fool_gradient"), "LATE"): 0.1,  # Nguyen et al. 2015, supplement
    (few_pixel, "LEAST_POPULATION"): 4,
    (structure, "INPUTS"): 4, (reference.evolution, "FUNCTIONS"): ("sine", "sigmoid", "gaussian", "linear"),
    (reference.steps, "BETA1"): 0.9, (reference.steps, "BETA2"): 0.999, (reference.steps, "EPSILON"): 1e-8,
    (derivatives, "COMFORTABLE"): 4 * 2**20,
    (models, "VGG"): {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)},  # configurations A, B, D, E
    (cifar, "RECORD"): 3073, (cifar, "MOST"): 10_000, (cifar, "SHAPE"): (3, 32, 32),
    (sets, "SHAPES"): {"train-images-idx3-ubyte": (60_000, 28, 28), "train-labels-idx1-ubyte": (60_000,),
                       "t10k-images-idx3-ubyte": (10_000, 28, 28), "t10k-labels-idx1-ubyte": (10_000,)},
    (cpu_conv, "PARTS"): 8,  # on which the order of sums depends, and so the last bits
    (transforms, "CORNERS"): ((-1, -1), (1, -1), (1, 1), (-1, 1)),
}  # fmt: skip


@pytest.mark.parametrize(("module", "name"), NUMBERS, ids=lambda given: getattr(given, "__name__", given))
def test_numbers_are_those_documented(module, name) -> None:
    assert getattr(module, name) == NUMBERS[module, name]


def test_a_photo_is_made_of_what_it_says() -> None:
    parts = {transform.__name__: share for transform, share in transforms.PHOTO}
    assert parts == {"perspective": 0.05, "blur": 0.5, "gamma": 0.5, "noise": 0.02}


def test_classes_are_named_as_their_data_sets_name_them() -> None:
    assert "".join(sets.DIGITS) == "0123456789"
    assert (sets.CLOTHES[0], sets.CLOTHES[9]) == ("T-shirt/top", "Ankle boot")
    assert cifar.CLASS_NAMES == (
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    )
