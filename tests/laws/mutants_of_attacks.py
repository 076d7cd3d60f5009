"""Wrong lines in DeepFool, L-BFGS and Auto-PGD, planted on purpose: see `mutants`, which says how."""

from __future__ import annotations

import attacks.nearest_boundary
from tests.laws import test_deepfool
from tests.laws.mutants import Mutant, line

# fmt: off
MUTANTS = [
    # --- DeepFool
    Mutant("DeepFool: the farthest boundary", line(attacks.nearest_boundary, "_to_the_nearest", "distance.argmin(axis=0)", "xp.where(slope > 0, distance, -xp.inf).argmax(axis=0)"), test_deepfool.test_on_an_affine_network_one_step_crosses_the_nearest_boundary),
    Mutant("DeepFool: the least gap, whatever its slope", line(attacks.nearest_boundary, "_to_the_nearest", "distance.argmin(axis=0)", "gap.argmin(axis=0)"), test_deepfool.test_on_an_affine_network_one_step_crosses_the_nearest_boundary),
    Mutant("DeepFool: L∞ slopes measured in L∞", line(attacks.nearest_boundary, "_to_the_nearest", "NORMS[DUAL[norm]]", "NORMS[norm]"), test_deepfool.test_on_an_affine_network_one_step_crosses_the_nearest_boundary),
    Mutant("DeepFool: no overshoot", line(attacks.nearest_boundary, "deepfool", "1 + float(overshoot)", "1.0"), test_deepfool.test_on_an_affine_network_one_step_crosses_the_nearest_boundary),
    Mutant("DeepFool: away from the target", line(attacks.nearest_boundary, "_differences", "return goal.direction * ", "return "), test_deepfool.test_a_target_is_reached_over_the_boundary_to_it_alone),
    Mutant("DeepFool: the first classes, not the likeliest", line(attacks.nearest_boundary, "_differences", "others.argsort", "own.argsort"), test_deepfool.test_it_succeeds_with_little),
    Mutant("DeepFool: overshoots every step anew", line(attacks.nearest_boundary, "deepfool", " / further", ""), test_deepfool.test_it_is_the_papers_algorithm),
    Mutant("DeepFool: a tie ends it", line(attacks.nearest_boundary, "deepfool", "xp.maximum(abs(f), least)", "abs(f)"), test_deepfool.test_a_tie_is_not_the_end),
    Mutant("DeepFool: never clipped", line(attacks.nearest_boundary, "deepfool", "if clip else", "if False else"), test_deepfool.test_bounds_and_honesty),
    Mutant("DeepFool: fools the fooled again", line(attacks.nearest_boundary, "deepfool", "(f.max(axis=0) <= least)", "(f.max(axis=0) <= 99)"), test_deepfool.test_it_succeeds_with_little),
]
# fmt: on
