"""Wrong ways to train against an adversary, planted on purpose."""

from __future__ import annotations

from attacks.training import BoundedAdversary, FGSMAdversary, PGDAdversary
from minidl import identity, train
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


# fmt: off
MUTANTS = [
    Mutant("adversary: its images never learnt from", line(train, "_lesson", "adversary.alpha == 1", "adversary.alpha >= 0"), laws.test_alpha_zero_learns_from_the_adversarial_images_alone),
    Mutant("adversary: clean images too at α = 0", line(train, "_lesson", "adversary.alpha == 0", "adversary.alpha < 0"), laws.test_alpha_zero_learns_from_the_adversarial_images_alone),
    Mutant("adversary: asked at α = 1 as well", line(train, "_lesson", "adversary.alpha == 1", "adversary.alpha > 1"), laws.test_alpha_one_is_plain_training_to_the_bit),
    Mutant("adversary: α and 1 - α swapped", line(train, "_lesson", "[x, x_adv]", "[x_adv, x]"), written(FGSMAdversary)),
    Mutant("adversary: both halves whole", line(train, "_lesson", "(1 - adversary.alpha) / len(y)", "1 / len(y)"), written(PGDAdversary)),
    Mutant("gradient: weights forgotten", line(train, "gradient", "ops.sum(weights * ", "ops.mean("), written(FGSMAdversary)),
    Mutant("fit: accuracy without weights", line(train, "_epoch", "(weights * right).sum()", "right.mean()"), written(FGSMAdversary)),
    Mutant("fit: the first moment for every batch", line(train, "_epoch", "replace(start, step=step)", "replace(start, step=0)"), laws.test_every_batch_is_attacked_as_the_network_is_then),
    Mutant("fit: other images taken as they are", line(train, "_lesson", "x_adv.dtype != x.dtype", "False"), lambda: laws.test_other_images_than_asked_for_are_refused(lambda x: x.astype("float64"))),
    Mutant("moment: one key for all epochs", line(train.Moment, "key", "self.epoch, ", ""), laws.test_they_start_anew_at_every_moment_and_again_at_the_same),
    Mutant("moment: one key for all seeds", line(train.Moment, "key", "self.seed, ", ""), laws.test_they_start_anew_at_every_moment_and_again_at_the_same),
    Mutant("moment: whole epochs only", line(train.Moment, "epochs", " + self.step / self.steps", ""), laws.test_epsilon_warms_up_evenly_and_stays),
    Mutant("checkpoint: α not in the adversary's name", line(train, "fit", 'float(getattr(adversary, "alpha", 1))', "1.0"), laws.test_checkpoints_know_the_adversary),
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
]
# fmt: on
