"""Wrong lines in DeepFool, L-BFGS, Auto-PGD and Square, planted on purpose: see `mutants`, which says how."""

from __future__ import annotations

import attacks.auto_pgd
import attacks.minimise
import attacks.nearest_boundary
import attacks.quasi_newton
import attacks.random_search
import attacks.result
from tests.laws import test_auto_pgd, test_deepfool, test_quasi_newton, test_random_search
from tests.laws.mutants import Mutant, line

# fmt: off
MUTANTS = [
    # --- DeepFool
    Mutant("DeepFool: the farthest boundary", line(attacks.nearest_boundary, "_to_the_nearest", "distance.argmin(axis=0)", "xp.where(slope > 0, distance, -xp.inf).argmax(axis=0)"), test_deepfool.test_on_an_affine_network_one_step_crosses_the_nearest_boundary),
    Mutant("DeepFool: the spread of the logits as they are now", line(attacks.nearest_boundary, "deepfool", "least = least_gap[active]", "least = LEAST_GAP * (logits.max(axis=-1) - logits.min(axis=-1))"), test_deepfool.test_two_classes_and_pixels_at_the_bounds),
    Mutant("DeepFool: the least gap, whatever its slope", line(attacks.nearest_boundary, "_to_the_nearest", "distance.argmin(axis=0)", "gap.argmin(axis=0)"), test_deepfool.test_on_an_affine_network_one_step_crosses_the_nearest_boundary),
    Mutant("DeepFool: L∞ slopes measured in L∞", line(attacks.nearest_boundary, "_to_the_nearest", "NORMS[DUAL[norm]]", "NORMS[norm]"), test_deepfool.test_on_an_affine_network_one_step_crosses_the_nearest_boundary),
    Mutant("DeepFool: no overshoot", line(attacks.nearest_boundary, "deepfool", "1 + float(overshoot)", "1.0"), test_deepfool.test_on_an_affine_network_one_step_crosses_the_nearest_boundary),
    Mutant("DeepFool: away from the target", line(attacks.nearest_boundary, "_differences", "return goal.direction * ", "return "), test_deepfool.test_a_target_is_reached_over_the_boundary_to_it_alone),
    Mutant("DeepFool: the first classes, not the likeliest", line(attacks.nearest_boundary, "_differences", "others.argsort", "own.argsort"), test_deepfool.test_it_succeeds_with_little),
    Mutant("DeepFool: overshoots every step anew", line(attacks.nearest_boundary, "deepfool", " / further", ""), test_deepfool.test_it_is_the_papers_algorithm),
    Mutant("DeepFool: a tie ends it", line(attacks.nearest_boundary, "deepfool", "xp.maximum(abs(f), least)", "abs(f)"), test_deepfool.test_a_tie_is_not_the_end),
    Mutant("DeepFool: never clipped", line(attacks.nearest_boundary, "deepfool", "if clip else", "if False else"), test_deepfool.test_bounds_and_honesty),
    Mutant("DeepFool: fools the fooled again", line(attacks.nearest_boundary, "deepfool", "(f.max(axis=0) <= least)", "(f.max(axis=0) <= 99)"), test_deepfool.test_it_succeeds_with_little),
    # --- Auto-PGD
    Mutant("APGD: no momentum", line(attacks.auto_pgd.Climb, "_step", "(walk.x - walk.before)", "(z - walk.x)"), test_auto_pgd.test_it_is_the_papers_algorithm),
    Mutant("APGD: momentum before there is any", line(attacks.auto_pgd.Climb, "up", "ALPHA if k else 1.0", "ALPHA"), test_auto_pgd.test_it_is_the_papers_algorithm),
    Mutant("APGD: steps of ε to begin with", line(attacks.auto_pgd.Climb, "up", "2 * self.radius", "self.radius"), test_auto_pgd.test_it_is_the_papers_algorithm),
    Mutant("APGD: halved without going back", line(attacks.auto_pgd, "judged", "x=xp.where(far, walk.x_max, walk.x)", "x=walk.x"), test_auto_pgd.test_it_is_the_papers_algorithm),
    Mutant("APGD: back, but not halved", line(attacks.auto_pgd, "judged", "walk.eta / 2", "walk.eta"), test_auto_pgd.test_it_is_the_papers_algorithm),
    Mutant("APGD: the slope of another point", line(attacks.auto_pgd, "judged", "slope=xp.where(far, walk.slope_max, walk.slope)", "slope=walk.slope"), test_auto_pgd.test_it_is_the_papers_algorithm),
    Mutant("APGD: condition 1 forgotten", line(attacks.auto_pgd, "judged", "(walk.rises < RHO * steps)", "walk.halved & ~walk.halved"), test_auto_pgd.test_it_is_the_papers_algorithm),
    Mutant("APGD: condition 2 forgotten", line(attacks.auto_pgd, "judged", " | (~walk.halved & (walk.f_max == walk.f_max_then))", ""), test_auto_pgd.test_it_is_the_papers_algorithm),
    Mutant("APGD: condition 2 though just halved", line(attacks.auto_pgd, "judged", "~walk.halved & ", ""), test_auto_pgd.test_both_conditions_halve_the_step),
    Mutant("APGD: rises of all the way", line(attacks.auto_pgd, "judged", "xp.zeros_like(walk.rises)", "walk.rises"), test_auto_pgd.test_it_is_the_papers_algorithm),
    Mutant("APGD: the newest step counts already", line(attacks.auto_pgd, "judged", "walk.rises < RHO", "walk.rises + walk.uphill < RHO"), test_auto_pgd.test_it_is_the_papers_algorithm),
    Mutant("APGD: checkpoints equally far apart", line(attacks.auto_pgd, "checkpoints", "percent[-1] - percent[-2] - 3", "22"), lambda: test_auto_pgd.test_checkpoints_are_the_papers(100, [0, 22, 41, 57, 70, 80, 87, 93, 99])),
    Mutant("APGD: the last point, not the best", line(attacks.auto_pgd.Climb, "up", "self.found[walk.which] = walk.x_max", "self.found[walk.which] = walk.x"), test_auto_pgd.test_it_is_the_papers_algorithm),
    Mutant("APGD: successes go on", line(attacks.auto_pgd.Climb, "_look", "if not done.any():", "if True:"), test_auto_pgd.test_it_is_the_papers_algorithm),
    Mutant("APGD: beyond the ball", line(attacks.auto_pgd.Climb, "_stay", "origin, self.radius", "None, self.radius"), test_auto_pgd.test_bounds_budget_and_honesty),
    Mutant("APGD: beyond the bounds", line(attacks.auto_pgd.Climb, "_stay", "self.run.victim.bounds", "None"), test_auto_pgd.test_bounds_budget_and_honesty),
    Mutant("APGD: the last attempt, not the closest", line(attacks.auto_pgd, "_attack", "better = achieved | (reached > closest[active])", "better = reached == reached"), test_auto_pgd.test_more_attempts_and_larger_radii_never_do_worse),
    Mutant("APGD: only the first attempt", line(attacks.auto_pgd, "_attack", "active = standing(climb.found)", "active = standing(climb.found)[:0]"), test_auto_pgd.test_targets_are_the_likeliest_others_in_turn),
    Mutant("APGD: what fell is tried again", line(attacks.auto_pgd, "_attack", "active = standing(climb.found)", "standing(climb.found)"), test_auto_pgd.test_more_attempts_and_larger_radii_never_do_worse),
    Mutant("APGD: one start for all seeds", line(attacks.auto_pgd, "_attack", "run.key(number)", "number"), test_auto_pgd.test_starts_are_drawn_anew_for_every_seed),
    Mutant("APGD: the unlikeliest target first", line(attacks.auto_pgd, "_attempts", "[:, ::-1]", "[:, 1:]"), test_auto_pgd.test_targets_are_the_likeliest_others_in_turn),
    Mutant("targeted ratio: the second logit for the third", line(attacks.auto_pgd, "targeted_dlr", "(0, 2, 3)", "(0, 1, 3)"), test_auto_pgd.test_targeted_ratio_is_eq_7),
    Mutant("targeted ratio: downhill", line(attacks.auto_pgd, "targeted_dlr", "(z_t - z_y)", "(z_y - z_t)"), test_auto_pgd.test_targeted_ratio_is_eq_7),
    Mutant("APGD: takes back what slopes found", line(attacks.auto_pgd, "_attack", "standing(gather(x_adv, active))", "state.x_adv[active] = x_adv[active]"), test_auto_pgd.test_random_search_gets_what_slopes_do_not),
    Mutant("APGD: the search forgotten", line(attacks.auto_pgd, "_attack", "if queries and len(active):", "if False:"), test_auto_pgd.test_random_search_gets_what_slopes_do_not),
    Mutant("APGD: searches on what fell", line(attacks.auto_pgd, "_attack", "return active[~achieved]", "return active"), test_auto_pgd.test_random_search_gets_what_slopes_do_not),
    Mutant("APGD: one array for several results", line(attacks.auto_pgd, "apgd", "run.end(state.x_adv.copy()", "run.end(state.x_adv"), test_auto_pgd.test_an_interruption_keeps_what_there_is),
    # --- Square
    Mutant("Square: whatever comes is kept", line(attacks.random_search, "search", "achieved | (reached > best)", "reached == reached"), test_random_search.test_more_queries_never_do_worse),
    Mutant("Square: nothing is kept", line(attacks.random_search, "search", "achieved | (reached > best)", "xp.isinf(best)"), test_random_search.test_every_query_is_a_square_and_kept_if_it_helps),
    Mutant("Square: beyond the bounds", line(attacks.random_search, "search", "xp.clip(run.x + d, *run.victim.bounds)", "run.x + d"), test_random_search.test_bounds_budget_and_honesty),
    Mutant("Square: squares of 2ε", line(attacks.random_search, "search", "(-radius, radius)", "(-2 * radius, 2 * radius)"), test_random_search.test_bounds_budget_and_honesty),
    Mutant("Square: successes go on", line(attacks.random_search, "search", "if achieved.any():", "if False:"), test_random_search.test_every_query_is_a_square_and_kept_if_it_helps),
    Mutant("Square: begins with noise", line(attacks.random_search, "_drawn", "uniform(channels, 1, width) < 0.5", "uniform(channels, height, width) < 0.5"), test_random_search.test_every_query_is_a_square_and_kept_if_it_helps),
    Mutant("Square: one column too wide", line(attacks.random_search, "_drawn", "columns < s + h", "columns <= s + h"), test_random_search.test_every_query_is_a_square_and_kept_if_it_helps),
    Mutant("Square: never at the edge", line(attacks.random_search, "_drawn", "height - h + 1", "height - h"), test_random_search.test_the_squares_are_where_they_may_be),
    Mutant("Square: all channels alike", line(attacks.random_search, "_drawn", "drawn[:, 2:, None, None]", "drawn[:, 2:3, None, None]"), test_random_search.test_the_squares_are_where_they_may_be),
    Mutant("Square: draws of the place among the rest", line(attacks.random_search, "_drawn", "gather(kernels(run.x).random_uniform(run.key(0, query), like), active)", "random_uniform(run.key(0, query), like)[: len(active)]"), test_random_search.test_no_example_weighs_on_another),
    Mutant("Square: the same draws in every query", line(attacks.random_search, "_drawn", "run.key(0, query)", "run.key(0, 1)"), test_random_search.test_it_asks_for_no_slopes),
    Mutant("Square: one schedule however many queries", line(attacks.random_search, "side", "10_000 * part", "part"), lambda: test_random_search.test_sides_follow_the_papers_schedule(51, 13)),
    Mutant("Square: sides halved, not areas", line(attacks.random_search, "side", " ** 0.5", ""), lambda: test_random_search.test_sides_follow_the_papers_schedule(51, 13)),
    # --- L-BFGS
    Mutant("L-BFGS: memory of one kind only", line(attacks.minimise, "_newton", "weight - rho", "-rho"), test_quasi_newton.test_it_is_quicker_than_steps_along_the_slope),
    Mutant("L-BFGS: no memory", line(attacks.minimise, "_pair", "useful = product >", "useful = 0 * product >"), test_quasi_newton.test_it_is_quicker_than_steps_along_the_slope),
    Mutant("L-BFGS: any step will do", line(attacks.minimise, "_downhill", "enough = found <= ", "enough = found <= 99 + "), test_quasi_newton.test_no_step_makes_it_worse_and_every_row_goes_its_own_way),
    Mutant("L-BFGS: beyond the box", line(attacks.minimise, "_downhill", "xp.clip(start + t * gather(d, left), *bounds)", "start + t * gather(d, left)"), test_quasi_newton.test_a_quadratic_ends_where_no_free_entry_has_a_slope),
    Mutant("L-BFGS: bound entries take part", line(attacks.minimise, "minimise", "free = ~(", "free = (x == x) | ("), test_quasi_newton.test_a_quadratic_ends_where_no_free_entry_has_a_slope),
    Mutant("L-BFGS: steps never halved", line(attacks.minimise, "_downhill", "t / 2", "t"), test_quasi_newton.test_a_quadratic_ends_where_no_free_entry_has_a_slope),
    Mutant("L-BFGS: another row's function", line(attacks.minimise, "_downhill", "f(point, which[left])", "f(point, left)"), test_quasi_newton.test_a_quadratic_ends_where_no_free_entry_has_a_slope),
    Mutant("L-BFGS: another row's memory", line(attacks.minimise, "minimise", "if len(going) < len(gain):", "if False:"), test_quasi_newton.test_a_quadratic_ends_where_no_free_entry_has_a_slope),
    Mutant("L-BFGS attack: the least c", line(attacks.quasi_newton, "lbfgs", "c / 10, xp.where", "c * 10, xp.where"), test_quasi_newton.test_c_grows_and_falls_tenfold_and_then_is_halved_in_between),
    Mutant("L-BFGS attack: the arithmetic mean", line(attacks.quasi_newton, "lbfgs", "(succeeds * fails) ** 0.5", "(succeeds + fails) / 2"), test_quasi_newton.test_c_grows_and_falls_tenfold_and_then_is_halved_in_between),
    Mutant("L-BFGS attack: the last success", line(attacks.quasi_newton, "lbfgs", "length < shortest", "done"), test_quasi_newton.test_of_all_successes_the_closest_is_kept),
    Mutant("L-BFGS attack: the last failure", line(attacks.quasi_newton, "lbfgs", "xp.isinf(shortest) & (reached > closest)", "xp.isinf(shortest) & (c < 0.5) & (c > 0.05)"), test_quasi_newton.test_a_failure_is_the_closest_attempt),
    Mutant("L-BFGS attack: |r|² weighed twice", line(attacks.quasi_newton, "_minimiser", "2 * weight[:, None] * r", "4 * weight[:, None] * r"), test_quasi_newton.test_on_a_linear_network_it_finds_the_nearest_point_in_the_box),
    Mutant("L-BFGS attack: away from the target", line(attacks.quasi_newton, "log_likelihood", "goal.direction < 0", "goal.direction > 0"), test_quasi_newton.test_likelihoods_are_those_of_softmax),
    Mutant("L-BFGS attack: sums overflow", line(attacks.quasi_newton, "_log_sum_exp", "unbox(z).max(axis=-1)", "0 * unbox(z)[:, 0]"), test_quasi_newton.test_likelihoods_are_those_of_softmax),
    Mutant("result: distortion without its root", line(attacks.result.AttackResult, "rms", "self.features, 1) ** 0.5", "self.features, 1)"), test_quasi_newton.test_bounds_and_honesty),
]
# fmt: on
