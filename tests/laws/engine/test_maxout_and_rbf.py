"""Maxout and RBF layers, and what their recipes need: a limit on weights, dropout without scaling, two schedules."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minidl
from minidl import Dataset, backend, fit, jacobian, layers, linearize, losses, models, schedules
from minidl.layers import RBF, Dense, Dropout, Flatten, LogRBF, Maxout, MaxoutConv2d, Uniform
from minidl.optim import SGD, Adam, MaxNorm
from minidl.testing import Mutant, line, over_the_zoo

seeds = st.integers(0, 2**32 - 1)


# --- maxout ----------------------------------------------------------------------------------------------


@given(seeds, st.integers(1, 4), st.integers(1, 4))
def test_maxout_is_the_largest_piece_of_each_unit(seed, units, pieces) -> None:
    rng = np.random.default_rng(seed)
    x, layer = rng.normal(size=(3, 5)), Maxout(units, pieces)
    params = {"W": rng.normal(size=(5, units * pieces)), "b": rng.normal(size=units * pieces)}
    y = layer.apply(params, x)
    for n in range(3):
        for u in range(units):
            own = range(u * pieces, (u + 1) * pieces)
            assert y[n, u] == pytest.approx(max(x[n] @ params["W"][:, j] + params["b"][j] for j in own), rel=1e-12)


def test_of_equal_pieces_only_the_first_has_a_derivative() -> None:
    w = np.array([[1.0, 3.0, 3.0, 2.0, 2.0, 2.0]])
    x = np.array([[1.0], [-1.0]])  # the largest is piece 1, then 0; of the second unit always the first of three
    for name in ("numpy", "numba"):
        with backend.use(name):
            lin = linearize(lambda w: Maxout(2, 3, bias=False).apply({"W": w}, x), w)
            np.testing.assert_array_equal(lin.vjp(np.eye(2)[[0, 0]]), [[-1, 1, 0, 0, 0, 0]])
            np.testing.assert_array_equal(lin.vjp(np.eye(2)[[1, 1]]), [[0, 0, 0, 0, 0, 0]])
            np.testing.assert_array_equal(lin.jvp(np.arange(6.0)[None]), [[1, 3], [0, -3]])


@given(seeds)
def test_two_pieces_can_be_relu_and_the_absolute_value(seed) -> None:
    x = np.random.default_rng(seed).normal(size=(4, 1))
    piece = {"b": np.zeros(2)}
    np.testing.assert_array_equal(Maxout(1, 2).apply({"W": np.array([[1.0, 0.0]]), **piece}, x), np.maximum(x, 0))
    np.testing.assert_array_equal(Maxout(1, 2).apply({"W": np.array([[1.0, -1.0]]), **piece}, x), abs(x))


@given(seeds)
def test_a_convolution_over_the_whole_image_is_a_dense_layer(seed) -> None:
    rng = np.random.default_rng(seed)
    x, w, b = rng.normal(size=(2, 3, 4, 4)), rng.normal(size=(6, 3, 4, 4)), rng.normal(size=6)
    convolution = MaxoutConv2d(2, 4, pieces=3).apply({"W": w, "b": b}, x)
    dense = Maxout(2, 3).apply({"W": w.reshape(6, -1).T, "b": b}, x.reshape(2, -1))
    assert convolution.shape == (2, 2, 1, 1)
    np.testing.assert_allclose(convolution[:, :, 0, 0], dense, rtol=1e-12, atol=1e-12)


def test_the_network_of_the_paper() -> None:
    net = models.maxout()
    assert sum(w.size for w in net.params.values()) == 785 * 1200 + 241 * 1200 + 241 * 10
    assert all(abs(w).max() <= 0.005 for w in net.params.values())
    assert [layer.rescale for layer in net.layers.values() if isinstance(layer, Dropout)] == [False, True, True]
    assert net(np.zeros((0, 784), np.float32)).shape == (0, 10)
    with pytest.raises(minidl.DTypeError, match=r"units=\(240,\)"):
        models.maxout(units=240)
    with pytest.raises(minidl.RangeError, match="whole number of pieces, at least 1"):
        Maxout(3, 0)
    with pytest.raises(minidl.ShapeError, match="Flatten"):
        Maxout(3).output_shape((1, 28, 28))
    with pytest.raises(minidl.ShapeError, match="before Flatten"):
        MaxoutConv2d(3, 5).output_shape((784,))


def test_maxout_networks_are_saved_and_loaded(tmp_path) -> None:
    rng = np.random.default_rng(0)
    first = MaxoutConv2d(np.int64(3), (2, 3), 2, padding=1, init_weights=Uniform(0.3))
    net = models.Sequential(first, Flatten(), Maxout(4, np.int64(2)), Dropout(0.5, rescale=False), LogRBF(2),
                            input_shape=(1, 5, 5), dtype="float64")  # fmt: skip
    minidl.save(net, tmp_path / "net.npz")
    again, x = minidl.load(tmp_path / "net.npz"), rng.normal(size=(2, 1, 5, 5))
    assert list(again.layers.values()) == list(net.layers.values())
    np.testing.assert_array_equal(again(x), net(x))


# --- RBF -------------------------------------------------------------------------------------------------


@given(seeds)
def test_rbf_by_its_definition_and_its_stated_gradients(seed) -> None:
    rng = np.random.default_rng(seed)
    x, params = rng.normal(size=(1, 3)), {"mu": rng.normal(size=(2, 3)), "log_beta": rng.normal(size=(2, 3))}
    beta, away = np.exp(params["log_beta"]), x - params["mu"]
    q = (beta * away**2).sum(axis=1)
    np.testing.assert_allclose(LogRBF(2).apply(params, x)[0], -q, rtol=1e-12)
    np.testing.assert_allclose(RBF(2).apply(params, x)[0], np.exp(-q), rtol=1e-12)
    of_x = jacobian(lambda x: LogRBF(2).apply(params, x), x)[0, :, 0]
    np.testing.assert_allclose(of_x, -2 * beta * away, rtol=1e-12, atol=1e-14)
    for k in range(2):
        lin = linearize(lambda p, k=k: -LogRBF(2).apply(p, x)[0, k], params)
        pulled = lin.vjp(np.array(1.0))
        np.testing.assert_allclose(pulled["mu"][k], -2 * beta[k] * away[k], rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(pulled["log_beta"][k], beta[k] * away[k] ** 2, rtol=1e-12, atol=1e-14)
        assert not pulled["mu"][1 - k].any()


def test_far_from_all_centres_rbf_vanishes_and_its_logarithm_does_not() -> None:
    net = models.rbf_network(4, 2)
    net.params["log_beta" if "log_beta" in net.params else "logrbf1.log_beta"][...] = 0
    far = np.full((1, 4), 50, np.float32)
    params = net.params_of("logrbf1")
    assert not RBF(2).apply(params, far).any()
    assert not jacobian(lambda x: RBF(2).apply(params, x), far).any()
    assert (net(far) < -9000).all()
    assert abs(jacobian(net, far)).min(where=np.eye(1)[:, None, :, None] == 1, initial=np.inf) > 90


def test_an_rbf_network_starts_with_distances_of_about_one_and_learns() -> None:
    data, test = minidl.load_digits()
    net = models.rbf_network()
    assert np.exp(net.params["logrbf1.log_beta"]).sum(axis=1) == pytest.approx(1, rel=1e-5)
    history = fit(net, data, epochs=12, optimizer=Adam(0.05), loss=losses.binary_cross_entropy,
                  progress=False)  # fmt: skip
    assert history.loss[-1] < 0.5 * history.loss[0]
    assert minidl.evaluate(net, test).error < 0.25
    p = np.exp(net(test.x))
    assert p.max() <= 1
    assert p.sum(axis=1).min() < 0.5, "probabilities that need not sum to 1"


@given(seeds)
def test_binary_cross_entropy_is_a_sum_of_questions_with_two_answers(seed) -> None:
    rng = np.random.default_rng(seed)
    log_p, y = -rng.exponential(size=(3, 4)) - 0.01, rng.integers(0, 4, 3)
    each = np.zeros(3)
    for n in range(3):
        for k in range(4):
            p = np.exp(log_p[n, k])
            each[n] -= np.log(p if k == y[n] else 1 - p)
    np.testing.assert_allclose(losses.binary_cross_entropy(log_p, y), each, rtol=1e-12)


def test_binary_cross_entropy_is_finite_at_the_centre_of_another_class() -> None:
    log_p = np.array([[0.0, -1.0]], np.float32)
    lin = linearize(lambda z: losses.binary_cross_entropy(z, np.array([1])), log_p)
    assert np.isfinite(lin.value).all()
    assert np.isfinite(lin.vjp(np.ones(1, np.float32))).all()
    with pytest.raises(minidl.DTypeError, match="integer"):
        losses.binary_cross_entropy(log_p, np.array([1.0]))


# --- dropout that does not scale ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["numpy", "numba"])
@given(seed=seeds, rate=st.sampled_from([0.2, 0.3, 0.5]))
def test_kept_entries_are_as_they_were(name, seed, rate) -> None:
    x = np.random.default_rng(0).uniform(1, 2, (7, 50)).astype(np.float32)
    with backend.use(name):
        net = models.Sequential(Dropout(rate, rescale=False), input_shape=50)
        kept, scaled = (
            net.apply({}, x, np.random.default_rng(seed)),
            Dropout(rate).apply({}, x, np.random.default_rng(seed)),
        )
    np.testing.assert_array_equal(kept != 0, scaled != 0)  # the same mask
    assert (kept == 0).any()
    assert (kept != 0).any()
    np.testing.assert_array_equal(kept[kept != 0], x[kept != 0])


def test_layers_with_such_dropout_are_computed_as_one_by_one() -> None:
    with backend.use("numba"):
        nets = [models.Sequential(Dense(5), layers.ReLU(), Dropout(0.5, rescale=False), input_shape=4, fused=joined)
                for joined in (True, False)]  # fmt: skip
        one, other = (net.apply(nets[0].params, np.ones((3, 4), np.float32), np.random.default_rng(1)) for net in nets)
    np.testing.assert_allclose(one, other, rtol=1e-6)


# --- the limit on weights ----------------------------------------------------------------------------------


@given(seeds, st.floats(0.1, 3.0))
def test_no_units_weights_are_longer_than_the_limit(seed, limit) -> None:
    rng = np.random.default_rng(seed)
    params = {"dense1.W": rng.normal(size=(6, 4)), "dense1.b": 9 + rng.normal(size=4), "conv1.W": rng.normal(size=(3, 2, 2, 2)),
              "logrbf1.mu": 9 + rng.normal(size=(2, 3))}  # fmt: skip
    grads = {name: rng.normal(size=w.shape) for name, w in params.items()}
    plain, limited = ({name: w.copy() for name, w in params.items()} for _ in range(2))
    inner = SGD(0.5, momentum=0.5)
    inner.update(plain, grads, inner.init(plain))
    outer = MaxNorm(inner, limit)
    outer.update(limited, grads, outer.init(limited))
    for name, w in limited.items():
        if not name.endswith(".W"):
            np.testing.assert_array_equal(w, plain[name])
            continue
        units = w.T if w.ndim == 2 else w.reshape(len(w), -1)
        before = plain[name].T if w.ndim == 2 else plain[name].reshape(len(w), -1)
        for unit, stepped in zip(units, before):
            length = np.linalg.norm(stepped)
            assert np.linalg.norm(unit) <= limit * (1 + 1e-12)
            np.testing.assert_allclose(unit, stepped * min(1, limit / length), rtol=1e-12)


def test_a_limited_optimizer_follows_its_schedules_and_resumes(tmp_path) -> None:
    data = Dataset(np.random.default_rng(0).random((20, 1, 4, 4), np.float32), np.arange(20) % 2)
    optimizer = MaxNorm(SGD(schedules.Exponential(0.5, 0.5), schedules.Linear(0.5, 4, 0.9)), limit=0.7)
    assert optimizer.at(2) == MaxNorm(SGD(0.125, 0.7), limit=0.7)
    assert optimizer.at(2).lr == 0.125

    def trained(epochs, **options):
        net = models.maxout((1, 4, 4), 2, (3,), pieces=2, init_weights=Uniform(0.5))
        return net, fit(net, data, epochs=epochs, optimizer=optimizer, batch_size=7, progress=False, **options)

    straight, history = trained(3)
    assert history.lr == [0.5, 0.25, 0.125]
    assert max(np.linalg.norm(w, axis=0).max() for name, w in straight.params.items() if name.endswith(".W")) <= 0.7001
    trained(2, checkpoint=tmp_path / "run")
    resumed, _ = trained(3, checkpoint=tmp_path / "run")
    for name, w in straight.params.items():
        np.testing.assert_array_equal(resumed.params[name], w)


def test_what_cannot_be_limited() -> None:
    with pytest.raises(minidl.RangeError, match="limit above 0"):
        MaxNorm(SGD(0.1), limit=0)
    with pytest.raises(minidl.DTypeError, match=r"MaxNorm\(SGD"):
        MaxNorm(0.1)
    with pytest.raises(minidl.DTypeError, match="optimizer of numbers"):
        MaxNorm(SGD(schedules.Exponential(0.1, 0.5))).update({}, {}, {"step": np.zeros((), np.int64)})


# --- schedules -------------------------------------------------------------------------------------------


@given(st.floats(0.01, 1), st.floats(0.1, 1), st.integers(1, 600))
def test_a_factor_for_an_epoch_is_one_for_each_batch(start, factor, steps) -> None:
    rate = start
    for _ in range(steps):
        rate *= factor ** (1 / steps)
    assert schedules.Exponential(start, factor)(1.0) == pytest.approx(rate, rel=1e-9)
    assert schedules.Exponential(start, factor, end=start / 2)(50) >= start / 2


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0.5, 300))
def test_a_line_from_start_to_end(start, end, epochs) -> None:
    line = schedules.Linear(start, epochs, end)
    assert line(0) == start
    assert line(epochs) == pytest.approx(end)
    assert line(2 * epochs) == pytest.approx(end)
    assert line(epochs / 4) == pytest.approx(0.75 * start + 0.25 * end)


zoo = over_the_zoo
#: Wrong on purpose, each beside the law of this file that must catch it: see `test_mutants`.
# fmt: off
MUTANTS = [
    Mutant("maxout: the pieces of a unit lie apart", line(layers, "_largest", "ops.reshape(z, (len(z), units, pieces, prod(z.shape[2:])))", "ops.swapaxes(ops.reshape(z, (len(z), pieces, units, prod(z.shape[2:]))), 1, 2)"), test_maxout_is_the_largest_piece_of_each_unit),
    Mutant("maxout: the mean of the pieces", line(layers, "_largest", "conv.max_pool2d", "conv.avg_pool2d"), test_two_pieces_can_be_relu_and_the_absolute_value),
    Mutant("maxout: no biases", line(Maxout, "apply", "self.linear.apply(params, x)", "ops.matmul(x, params['W'])"), test_maxout_is_the_largest_piece_of_each_unit),
    Mutant("maxout: the last of equal pieces", line(layers, "_largest", "conv.max_pool2d(columns, (pieces, 1), stride=1)", "conv.max_pool2d(ops.flip(columns, 2), (pieces, 1), stride=1)"), test_of_equal_pieces_only_the_first_has_a_derivative),
    Mutant("maxout: by the zoo, units and pieces swapped", line(layers, "_largest", "(pieces, 1), stride=1", "(1, 1), stride=pieces"), zoo("value", "maxout_layer")),
    Mutant("maxout convolution: as many filters as channels", line(MaxoutConv2d, "linear", "self.channels * self.pieces", "self.channels"), test_maxout_networks_are_saved_and_loaded),
    Mutant("maxout convolution: no padding", line(MaxoutConv2d, "linear", "self.stride, self.padding,", "self.stride, 0,"), zoo("value", "maxout_conv_layer")),
    Mutant("maxout network: the input is scaled", line(models, "maxout", "Dropout(on_input, rescale=False)", "Dropout(on_input)"), test_the_network_of_the_paper),
    Mutant("RBF: plus in the exponent", line(LogRBF, "apply", "return -ops", "return ops"), test_rbf_by_its_definition_and_its_stated_gradients),
    Mutant("RBF: β itself", line(LogRBF, "apply", 'ops.exp(params["log_beta"])', 'params["log_beta"]'), test_rbf_by_its_definition_and_its_stated_gradients),
    Mutant("RBF: distances, not their squares", line(LogRBF, "apply", "* away * away", "* abs(away)"), test_rbf_by_its_definition_and_its_stated_gradients),
    Mutant("RBF: β starts at 1", line(LogRBF, "init", "- log(shape[0])", ""), test_an_rbf_network_starts_with_distances_of_about_one_and_learns),
    Mutant("RBF: its logarithm", lambda patch: patch.setattr(RBF, "apply", LogRBF.apply), test_rbf_by_its_definition_and_its_stated_gradients),
    Mutant("binary cross-entropy: the label alone", line(losses, "binary_cross_entropy", "ops.log(no)", "0"), test_binary_cross_entropy_is_a_sum_of_questions_with_two_answers),
    Mutant("binary cross-entropy: log p for all", line(losses, "binary_cross_entropy", "ops.where(is_label, log_probabilities, ops.log(no))", "log_probabilities"), test_binary_cross_entropy_is_a_sum_of_questions_with_two_answers),
    Mutant("binary cross-entropy: infinite at a centre", line(losses, "binary_cross_entropy", "float(xp.finfo(plain.dtype).eps)", "0.0"), test_binary_cross_entropy_is_finite_at_the_centre_of_another_class),
    Mutant("dropout: always scales", line(Dropout, "apply", "mask if self.rescale else (mask > 0).astype(mask.dtype)", "mask"), lambda: test_kept_entries_are_as_they_were("numpy")),
    Mutant("dropout: joined all the same", line(minidl.plan, "_is_inverted_dropout", "and layer.rescale", ""), test_layers_with_such_dropout_are_computed_as_one_by_one, "numba"),
    Mutant("limit: rows instead of columns", line(MaxNorm, "update", "(0,) if w.ndim == 2", "(1,) if w.ndim == 2"), test_no_units_weights_are_longer_than_the_limit),
    Mutant("limit: all weights together", line(MaxNorm, "update", "tuple(range(1, w.ndim))", "tuple(range(w.ndim))"), test_no_units_weights_are_longer_than_the_limit),
    Mutant("limit: short weights grow to it", line(MaxNorm, "update", "namespace(w).maximum(norms, self.limit)", "norms"), test_no_units_weights_are_longer_than_the_limit),
    Mutant("limit: of everything", line(MaxNorm, "update", 'name.endswith(".W") and w.ndim > 1', "w.ndim > 1"), test_no_units_weights_are_longer_than_the_limit),
    Mutant("limit: before the step", line(MaxNorm, "update", "self.optimizer.update(params, grads, state, penalty)\n    for", "for"), test_no_units_weights_are_longer_than_the_limit),
    Mutant("limit: lost on the way", line(MaxNorm, "at", "replace(self, optimizer=self.optimizer.at(epochs))", "self.optimizer.at(epochs)"), test_a_limited_optimizer_follows_its_schedules_and_resumes),
    Mutant("exponential: in steps", line(schedules.Exponential, "__call__", "**epochs", "**(epochs // 1 + 1)"), test_a_factor_for_an_epoch_is_one_for_each_batch),
    Mutant("exponential: below its end", line(schedules.Exponential, "__call__", "max(self.end, self.start * self.factor**epochs)", "self.start * self.factor**epochs"), test_a_factor_for_an_epoch_is_one_for_each_batch),
    Mutant("line: goes on after its end", line(schedules.Linear, "__call__", "min(epochs / self.epochs, 1.0)", "epochs / self.epochs"), test_a_line_from_start_to_end),
]
# fmt: on
