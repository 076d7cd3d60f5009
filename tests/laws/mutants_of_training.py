"""Wrong ways to train, planted on purpose: against adversaries, on losses, by schedules, with patience."""

from __future__ import annotations

import warnings

from attacks.training import BoundedAdversary, FGSMAdversary, PGDAdversary
from minidl import history, identity, losses, optim, recipe, schedules, train
from tests.laws import test_early_stopping as stopping
from tests.laws import test_schedules, test_trained_losses
from tests.laws import test_training as laws
from tests.laws.mutants import Mutant, line


def written(adversary: type[BoundedAdversary], alpha: float = 0.25) -> object:
    """The law of the objective as written, for that adversary."""
    return lambda: laws.test_one_step_follows_the_objective_as_written(alpha, adversary)


def bounded(clip: bool = True, norm: str = "linf", low: float = 0.0, high: float = 1.0) -> object:
    """The law of the ball and the bounds."""
    return lambda: laws.test_images_are_in_the_ball_and_within_bounds(norm, (low, high), clip)


def resumed(tmp_path: object) -> None:
    laws.test_resumed_runs_end_with_the_same_bits(PGDAdversary(0.3, steps=2, warm_up=2.5), tmp_path)


def at_any_line(tmp_path: object, monkeypatch: object) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "fit was interrupted")
        stopping.test_interrupted_at_any_line(None, 0, tmp_path, monkeypatch)


def stopped(cut: int = 3, patience: int = 2) -> object:
    """The law of resuming with patience, cut there."""
    return lambda tmp_path, monkeypatch: stopping.test_resumed_runs_end_with_the_same_bits(
        patience, cut, tmp_path, monkeypatch
    )


def trained_on(loss: object) -> object:
    """The law of one step on that loss, against FGSM."""
    return lambda: test_trained_losses.test_one_step_follows_any_loss(loss, FGSMAdversary(0.2, alpha=0.25))


def refused(name: str) -> object:
    """The law that this is no loss."""
    return lambda tmp_path: test_trained_losses.test_what_is_no_loss_is_refused_before_any_work(name, tmp_path)


# fmt: off
MUTANTS = [
    Mutant("adversary: its images never learnt from", line(train, "_lesson", "adversary.alpha == 1", "adversary.alpha >= 0"), laws.test_alpha_zero_learns_from_the_adversarial_images_alone),
    Mutant("adversary: clean images too at α = 0", line(train, "_lesson", "adversary.alpha == 0", "adversary.alpha < 0"), laws.test_alpha_zero_learns_from_the_adversarial_images_alone),
    Mutant("adversary: asked at α = 1 as well", line(train, "_lesson", "adversary.alpha == 1", "adversary.alpha > 1"), laws.test_alpha_one_is_plain_training_to_the_bit),
    Mutant("adversary: α and 1 - α swapped", line(train, "_lesson", "[x, x_adv]", "[x_adv, x]"), written(FGSMAdversary)),
    Mutant("adversary: both halves whole", line(train, "_lesson", "(1 - adversary.alpha) / len(y)", "1 / len(y)"), written(PGDAdversary)),
    Mutant("gradient: weights forgotten", line(train, "gradient", "ops.sum(weights * ", "ops.mean("), written(FGSMAdversary)),
    Mutant("fit: accuracy without weights", line(train, "_learn", "(weights * right).sum()", "right.mean()"), written(FGSMAdversary)),
    Mutant("fit: the first moment for every batch", line(train, "_learn", "replace(start, step=step)", "replace(start, step=0)"), laws.test_every_batch_is_attacked_as_the_network_is_then),
    Mutant("fit: other images taken as they are", line(train, "_lesson", "x_adv.dtype != x.dtype", "False"), lambda: laws.test_other_images_than_asked_for_are_refused(lambda x: x.astype("float64"))),
    Mutant("moment: one key for all epochs", line(train.Moment, "key", "self.epoch, ", ""), laws.test_they_start_anew_at_every_moment_and_again_at_the_same),
    Mutant("moment: one key for all seeds", line(train.Moment, "key", "self.seed, ", ""), laws.test_they_start_anew_at_every_moment_and_again_at_the_same),
    Mutant("moment: whole epochs only", line(train.Moment, "epochs", " + self.step / self.steps", ""), laws.test_epsilon_warms_up_evenly_and_stays),
    Mutant("checkpoint: α not in the adversary's name", line(recipe.Recipe, "settings", 'float(getattr(self.adversary, "alpha", 1))', "1.0"), laws.test_checkpoints_know_the_adversary),
    Mutant("checkpoint: lambdas have a name", line(identity, "_name", '("<lambda>", "<locals>", " at 0x")', '(" at 0x",)'), laws.test_checkpoints_know_the_adversary),
    Mutant("adversary: downhill", line(FGSMAdversary, "images", "victim.gradient(x, goal)", "-victim.gradient(x, goal)"), laws.test_they_are_those_of_the_attacks),
    Mutant("adversary: seen with dropout", line(BoundedAdversary, "__call__", "Victim(net,", "Victim(lambda x: net.apply(net.params, x, moment.rng),"), laws.test_they_are_made_without_dropout),
    Mutant("adversary: never clips", line(BoundedAdversary, "__call__", "self.bounds if self.clip else None", "None"), bounded()),
    Mutant("adversary: always clips to [0, 1]", line(BoundedAdversary, "__call__", "self.bounds if self.clip else None", "(0.0, 1.0)"), bounded(low=-3.0, high=2.0)),
    Mutant("adversary: images not looked at", line(BoundedAdversary, "__call__", "victim.check_images", "(lambda *_: None)"), laws.test_images_out_of_bounds_are_refused),
    Mutant("adversary: cold", line(BoundedAdversary, "radius", "if self.warm_up", "if False"), laws.test_epsilon_warms_up_evenly_and_stays),
    Mutant("adversary: warms up for ever", line(BoundedAdversary, "radius", "min(1.0, ", "max(0.0, "), laws.test_epsilon_warms_up_evenly_and_stays),
    Mutant("PGD adversary: leaves the ball", line(PGDAdversary, "images", ", bounds, x, radius)", ", bounds)"), bounded()),
    Mutant("PGD adversary: one step of all", line(PGDAdversary, "images", "range(self.steps)", "range(1)"), laws.test_they_are_those_of_the_attacks),
    Mutant("PGD adversary: starts at the image", line(PGDAdversary, "images", "if self.random_start", "if False"), laws.test_they_start_anew_at_every_moment_and_again_at_the_same),
    Mutant("PGD adversary: one start for all moments", line(PGDAdversary, "images", "norm.random(key,", "norm.random(0,"), laws.test_they_start_anew_at_every_moment_and_again_at_the_same),
    Mutant("PGD adversary: starts from moments gone by", line(train.Moment, "key", "(self.seed, self.epoch, self.step, 1)", "__import__('time').perf_counter_ns()"), resumed),
    # --- losses
    Mutant("loss: the cross-entropy all the same", line(train, "_of_each", "if loss is None:", "if True:"), trained_on(test_trained_losses.brier)),
    Mutant("loss: not known to checkpoints", line(recipe.Recipe, "settings", 'identity("fit", self.loss)', "None"), test_trained_losses.test_resumed_runs_end_with_the_same_bits_and_know_their_loss),
    Mutant("loss: validation by another", line(train, "_epoch", "recipe.validation, recipe.loss", "recipe.validation, None"), lambda: stopping.test_validation_is_of_the_network_without_dropout(losses.CrossEntropy(0.2, (1, 2, 3)))),
    Mutant("loss: any shape will do", line(losses, "of_each", "each.shape != labels.shape", "False"), refused("the mean")),
    Mutant("loss: whole numbers will do", line(losses, "of_each", ' or each.dtype.kind != "f"', ""), refused("whole numbers")),
    Mutant("loss: cut off from the logits", line(recipe, "_check_loss", "if not linearize", "if None and linearize"), refused("a constant")),
    Mutant("loss: as many examples as classes", line(recipe, "_check_loss", "3 if net.output_shape == (2,) else 2", "net.output_shape[0]"), test_trained_losses.test_two_classes_do_not_pass_for_two_examples),
    Mutant("label smoothing: the label not lowered", line(losses.CrossEntropy, "__call__", "(1 - self.label_smoothing) * each", "each"), test_trained_losses.test_a_smoothed_label_is_a_distribution),
    Mutant("label smoothing: the sum for the mean", line(losses.CrossEntropy, "__call__", "-ops.mean(", "-ops.sum("), test_trained_losses.test_a_smoothed_label_is_a_distribution),
    Mutant("class weights: those of the places, not of the labels", line(losses.CrossEntropy, "__call__", "[labels]", "[labels * 0]"), test_trained_losses.test_a_class_that_weighs_twice_is_a_class_that_comes_twice),
    Mutant("class weights: arrays told by their place", line(losses.CrossEntropy, "__post_init__", '"class_weights", weights', '"class_weights", self.class_weights'), test_trained_losses.test_two_are_equal_if_their_numbers_are),
    # --- schedules
    Mutant("cosine: never ends", line(schedules.Cosine, "__call__", "min(epochs / self.epochs, 1.0)", "epochs / self.epochs"), test_schedules.test_a_cosine_begins_ends_and_is_halfway_in_the_middle),
    Mutant("cosine: ends at 0", line(schedules.Cosine, "__call__", "return self.end + ", "return "), test_schedules.test_a_cosine_begins_ends_and_is_halfway_in_the_middle),
    Mutant("steps: rounded up", line(schedules.StepDecay, "__call__", "epochs // self.every", "-(-epochs // self.every)"), test_schedules.test_steps_are_taken_after_whole_periods),
    Mutant("warm-up: grows for ever", line(schedules.WarmUp, "__call__", "min(epochs / self.epochs, 1.0)", "epochs / self.epochs"), test_schedules.test_warming_up_grows_evenly_and_then_is_what_it_grew_to),
    Mutant("warm-up: its schedule has not begun", line(schedules.WarmUp, "__call__", "value_at(self.then, epochs)", "value_at(self.then, 0)"), test_schedules.test_warming_up_grows_evenly_and_then_is_what_it_grew_to),
    Mutant("schedules: asked once an epoch", line(train, "_learn", "optimizer.at(moment.epochs)", "optimizer.at(moment.epoch)"), lambda: test_schedules.test_every_batch_is_learnt_at_the_rate_of_its_moment(0.0)),
    Mutant("schedules: the rate alone", line(optim.Optimizer, "at", "in self.scheduled if", "in ('lr',) if"), test_schedules.test_an_optimizer_at_a_moment_has_numbers_alone),
    Mutant("schedules: any value will do", line(optim.Optimizer, "at", "not is_number(value) or", "False and"), test_schedules.test_schedules_that_are_none_are_refused_before_any_work),
    Mutant("schedules: looked at when it is too late", line(recipe.Recipe, "check", "range(int(epochs))", "range(1)"), test_schedules.test_schedules_that_are_none_are_refused_before_any_work),
    Mutant("schedules: another rate is another run", line(history, "_but_for_the_rate", 'if name != "lr"', ""), test_schedules.test_going_on_at_another_rate_is_a_schedule_and_said),
    Mutant("schedules: another optimiser is the same run", line(history, "_but_for_the_rate", '"optimizer": {name: value for name, value in optimizer.items() if name != "lr"}', '"optimizer": None'), test_schedules.test_nothing_else_of_the_optimizer_may_change),
    Mutant("history: files that say less are refused", line(history, "_completed", '"lr": [rate] * epochs, ', ""), test_schedules.test_checkpoints_from_before_there_were_schedules_load),
    # --- patience
    Mutant("patience: an epoch too long", line(history.History, "stopped_early", ">= self.patience", "> self.patience"), stopping.test_it_stops_when_patience_is_over_and_leaves_the_best),
    Mutant("patience: the last of equals is best", line(history.History, "best_epoch", "self.validation_error.index(min(self.validation_error)) + 1", "len(self) - self.validation_error[::-1].index(min(self.validation_error))"), stopping.test_it_stops_when_patience_is_over_and_leaves_the_best),
    Mutant("patience: the last epoch left", line(train, "fit", "if longer.kept_epoch == len(longer) else kept", ""), stopping.test_it_stops_when_patience_is_over_and_leaves_the_best),
    Mutant("patience: the best not put back", line(train, "fit", "history, kept = longer, now_kept", "history, kept = longer, now_kept if len(longer) < epochs else _copy(net.params)"), stopping.test_it_stops_when_patience_is_over_and_leaves_the_best),
    Mutant("patience: the best not in the file", line(history, "write_checkpoint", "kept[1] if history.patience is not None else {}", "params if history.patience is not None else {}"), stopped()),
    Mutant("patience: goes on from the best", line(history, "resume", "asarray(arrays[name])", 'asarray(arrays[name.replace("params/", "best/") if best else name])'), stopped()),
    Mutant("patience: not known to checkpoints", line(recipe.Recipe, "settings", 'identity("fit", self.patience)', "self.validation and self.patience and 2"), stopping.test_a_checkpoint_knows_its_patience_and_its_best),
    Mutant("Ctrl-C: the history a line before the parameters", line(train, "fit", "history, kept = longer, now_kept", "history = longer\n                kept = now_kept"), at_any_line),
]
# fmt: on
