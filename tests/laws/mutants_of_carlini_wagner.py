"""Wrong lines in Carlini and Wagner's attacks, planted on purpose: see `mutants`, which says how."""

from __future__ import annotations

from math import atanh

from attacks import carlini_wagner, descent
from attacks.carlini_wagner import cw_l0, cw_l2, cw_linf
from minidl.kernels import reference_descent
from tests.laws import test_carlini_wagner as laws
from tests.laws.mutants import Mutant, line

# fmt: off
MUTANTS = [
    Mutant("C&W: success at any margin", line(descent.Descent, "_reaches", "self.confidence + rounding_hair", "rounding_hair"), lambda: laws.test_successes_have_the_margin_asked_for(cw_linf)),
    Mutant("C&W: the last success, not the closest", line(descent.Descent, "_keep", "(lengths < cost)", "(lengths > 0)"), laws.test_more_searches_never_end_farther_away),
    Mutant("C&W: the closest attempt forgotten", line(descent.Descent, "_keep", "~found & (lacks < cost)", "False & found"), lambda: laws.test_a_failure_is_the_closest_attempt_and_marked(cw_l0)),
    Mutant("C&W: all stall together", line(descent.Descent, "_judge", "xp.where(fell, 0, self.since + 1)", "xp.where(fell.any(), 0, self.since + 1)"), lambda: laws.test_batch_mates_do_not_matter(cw_l2)),
    Mutant("C&W: nobody stalls", line(descent.Descent, "_judge", "(self.since >= self.patience)", "(self.since < 0)"), laws.test_giving_up_early_costs_next_to_nothing),
    Mutant("C&W: a tanh as wide as the bounds", lambda patch: (patch.setattr(descent, "HALF", 0.5 + 1e-9), patch.setattr(descent, "LIMIT", atanh(1 - 2e-9))), lambda: laws.test_pixels_at_the_bounds_can_move_and_those_without_slope_do_not(cw_l2)),
    Mutant("C&W: beyond the bounds", line(reference_descent, "tanh_adam", "xp.clip(centre + half * xp.tanh(w), *bounds)", "centre + half * 1.2 * xp.tanh(w)"), lambda: laws.test_pixels_at_the_bounds_can_move_and_those_without_slope_do_not(cw_l2)),
    Mutant("C&W: the pull of the distance left out", line(reference_descent, "tanh_adam", "(g + pull)", "(g + 0 * pull)"), laws.test_l2_finds_the_nearest_point_of_a_linear_networks_other_side),
    Mutant("C&W L0: the best pixels fixed", line(carlini_wagner, "_fix_pixels", "g * (best - x), xp.inf)", "g * (x - best), xp.inf)"), laws.test_l0_finds_the_fewest_pixels_of_a_linear_network),
    Mutant("C&W: Ctrl-C loses all", line(carlini_wagner, "_end", "x_adv = ", "x_adv = run.x if run.interrupted else "), lambda: laws.test_ctrl_c_keeps_what_was_found(cw_linf)),
    Mutant("C&W: any parameters will do", line(carlini_wagner, "_check", 'raise RangeError(attack, f"{name}', 'RangeError(attack, f"{name}'), lambda: laws.test_bad_parameters_are_refused_before_any_work(cw_l2, {"lr": 0.0})),
]
# fmt: on
