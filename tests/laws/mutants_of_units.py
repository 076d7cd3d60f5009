"""Wrong lines about the units and the precision of pixels, planted on purpose: see `mutants`, which says how."""

from __future__ import annotations

from collections.abc import Callable

import attacks.auto_pgd
import attacks.descent
import attacks.evaluate
import attacks.evolution.fooling
import attacks.norms
import attacks.precision
import attacks.quasi_newton
import attacks.result
import attacks.training
import attacks.transforms
import attacks.units
import attacks.victim
from attacks import Victim
from tests.laws import test_units_and_precision as laws
from tests.laws.every_attack import ATTACKS
from tests.laws.mutants import Mutant, line


def in_bytes(name: str) -> Callable[[], None]:
    """The law of units over one attack, with pixels from 40 to 295."""

    def law() -> None:
        as_they_are = {name: ATTACKS[name](Victim(laws.NET), laws.X, laws.Y, laws.T, 1.0)}
        laws.test_the_unit_of_a_pixel_does_not_matter(name, (255, 40), as_they_are)

    return law


# fmt: off
MUTANTS = [
    Mutant("units: c in pixels", line(attacks.descent.Descent, "_in_units", " * self.units.width", ""), in_bytes("cw_l2")),
    Mutant("units: c·‖r‖² in pixels", line(attacks.quasi_newton, "_minimiser", "units.width * ", ""), in_bytes("lbfgs")),
    Mutant("units: what was not moved is computed anew", line(attacks.units.Units, "images", "xp.where(unmoved, origin, pixels)", "pixels"), laws.test_pixels_that_are_not_moved_are_exactly_what_they_were),
    Mutant("units: ties rounded away", line(attacks.descent.Descent, "__init__", "xp.full(len(flat), xp.inf)", "xp.full(len(flat), xp.inf, dtype=flat.dtype)"), laws.test_of_many_changes_the_shorter_is_told_from_the_longer),
    Mutant("bounds without end", line(attacks.victim, "are_bounds", "0 < float(bounds[1]) - float(bounds[0]) < inf", "bounds[0] < bounds[1]"), lambda: laws.test_bounds_without_end_are_refused_at_the_door((0, float("inf")))),
    Mutant("C&W: a large c on its way through the network", line(attacks.descent.Descent, "move", "weight, power = xp.frexp(self.c)", "weight, power = self.c, xp.zeros(len(self.c), dtype='int64')"), lambda: laws.test_logits_of_any_size("cw_l0")),
    Mutant("C&W: margins in single precision", line(attacks.descent.Descent, "move", 'wide = logits.astype("float64")', "wide = logits"), lambda: laws.test_logits_of_any_size("cw_linf")),
    Mutant("C&W: slopes whose squares overflow", line(attacks.descent.Descent, "_in_units", "xp.clip(whole, -most, most)", "whole"), lambda: laws.test_logits_of_any_size("cw_l0")),
    Mutant("gradients that are not finite go on", line(attacks.victim.Victim, "pull_back", "if not xp.isfinite(pulled).all():", "if False:"), laws.test_gradients_that_are_not_finite_are_not_taken_for_diverged_training),
    Mutant("half precision: worked on as it is", line(attacks.result.Run, "__init__", "in_single(given)", "given"), lambda: laws.test_half_precision_weakens_no_attack("lbfgs")),
    Mutant("half precision: gradients in it", line(attacks.precision, "in_single", 'x.astype("float32") if x.dtype.itemsize < 4 else x', "x"), lambda: laws.test_half_precision_weakens_no_attack("fgsm")),
    Mutant("half precision: given back in single", line(attacks.result.Run, "end", "given_back(x_adv, self.given), ", "x_adv, "), lambda: laws.test_images_come_back_as_they_came("fgsm", "float16")),
    Mutant("half precision: rounded to the nearest", line(attacks.precision, "given_back", "np.where(too_far, np.nextafter(found, start), found)", "found"), laws.test_rounding_is_towards_the_image),
    Mutant("half precision: always a step back", line(attacks.precision, "given_back", "np.where(too_far, np.nextafter(found, start), found)", "np.nextafter(found, start)"), laws.test_rounding_is_towards_the_image),
    Mutant("half precision: judged before it is rounded", line(attacks.result.Run, "as_returned", "if self.given.dtype == self.x.dtype:", "if True:"), lambda: laws.test_half_precision_weakens_no_attack("cw_l2")),
    Mutant("half precision: lengths in it", line(attacks.result.AttackResult, "perturbation", "in_single(self.x_adv) - in_single(self.x)", "self.x_adv - self.x"), laws.test_large_differences_in_half_precision_have_a_length),
    Mutant("half precision: fooling images in it", line(attacks.evolution.fooling, "canvas", "np.promote_types(getattr(victim.net, \"dtype\", \"float32\"), np.float32)", "getattr(victim.net, \"dtype\", \"float32\")"), lambda: laws.test_fooling_images_are_made_in_single_precision_at_least("fool_cppn")),
    Mutant("half precision: adversaries in it", line(attacks.training.BoundedAdversary, "__call__", "in_single(x)", "x"), lambda: laws.test_adversaries_give_back_what_they_were_given("PGDAdversary, l2")),
    Mutant("ball: pixels taken for numbers below 1", line(attacks.norms, "_stay", "linf_length(origin) + epsilon", "1 + epsilon"), lambda: laws.test_the_ball_without_bounds_in_bytes("l1")),
    Mutant("APGD: ratios of two classes", line(attacks.auto_pgd, "usual_objectives", "classes >= needed", "True"), lambda: laws.test_the_defaults_serve_networks_of_few_classes(2)),
    Mutant("curve: five of three classes", line(attacks.evaluate, "robustness_curve", "classes >= 5", "True"), lambda: laws.test_the_defaults_serve_networks_of_few_classes(3)),
]
# fmt: on
