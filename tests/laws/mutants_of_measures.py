"""Wrong measures and wrong transformations, planted on purpose: see `mutants`, which says how."""

from __future__ import annotations

import attacks.by_class
import attacks.evaluate
import attacks.four_outcomes
import attacks.result
import attacks.transforms
from tests.laws import test_measures, test_transforms
from tests.laws.mutants import Mutant, line

# fmt: off
MUTANTS = [
    # --- what is measured after an attack
    Mutant("top-k: ties to the last", line(attacks.evaluate, "top_k", "xp.arange(logits.shape[-1]) < labels", "xp.arange(logits.shape[-1]) > labels"), test_measures.test_top_k_is_the_place_in_the_order),
    Mutant("top-k: one too many", line(attacks.evaluate, "top_k", "sum(axis=-1) < k", "sum(axis=-1) <= k"), test_measures.test_top_k_is_the_place_in_the_order),
    Mutant("curve: the first ε everywhere", line(attacks.evaluate, "_at_each", "epsilon=length, ", "epsilon=lengths[0], "), test_measures.test_the_curve_is_the_accuracy_at_each_epsilon),
    Mutant("curve: no work is shared", line(attacks.evaluate, "_at_each", '"Sequence" in', '"nothing" in'), test_measures.test_the_curve_is_the_accuracy_at_each_epsilon),
    Mutant("curve: half-finished attacks count", line(attacks.evaluate, "robustness_curve", "if interrupted:", "if False:"), test_measures.test_a_half_finished_attack_is_in_no_curve_and_named_in_the_table),
    Mutant("classes: no room for products", line(attacks.by_class, "_wide", ".astype(np.int64)", ""), test_measures.test_small_integers_have_room_for_products),
    Mutant("curve: counts the targets", line(attacks.evaluate, "robustness_curve", "top_k(logits, y, each)", "top_k(logits, goal.labels, each)"), test_measures.test_towards_targets_the_curve_still_counts_the_labels),
    Mutant("table: distances of failures too", line(attacks.evaluate, "_report", "(result, norm))[done]", "(result, norm))"), test_measures.test_the_table_is_counted_by_hand),
    Mutant("table: confidence before for after", line(attacks.evaluate, "_report", "BeforeAndAfter(_mean(before), _mean(after))", "BeforeAndAfter(_mean(after), _mean(before))"), test_measures.test_the_table_is_counted_by_hand),
    Mutant("table: confidence of successes over all", line(attacks.evaluate, "_report", "_mean(after[done])", "_mean(after)"), test_measures.test_the_table_is_counted_by_hand),
    Mutant("table: percentiles turned round", line(attacks.evaluate, "spread", "(50, 10, 90)", "(50, 90, 10)"), test_measures.test_the_table_is_counted_by_hand),
    Mutant("outcomes: mistakes made without help", line(attacks.four_outcomes, "outcomes", "(p == y) & (q != y)", "q != y"), lambda: test_measures.test_outcomes_are_the_definition("aba", True)),
    Mutant("outcomes: conatural goes first", line(attacks.four_outcomes, "outcomes", "fooled & also", "(which == 0) & also"), lambda: test_measures.test_outcomes_are_the_definition("aba", True)),
    Mutant("outcomes: any change is benign", line(attacks.four_outcomes, "outcomes", "(p != y) & (q == y)", "(p != y) & (q != p)"), lambda: test_measures.test_outcomes_are_the_definition("aba", True)),
    Mutant("classes: success among the answers", line(attacks.by_class, "vulnerability", "np.bincount(source[done], minlength=classes)", "np.bincount(after[done], minlength=classes)"), test_measures.test_vulnerability_is_counted_class_by_class),
    Mutant("classes: who is taken for it", line(attacks.by_class, "vulnerability", "ends.argmax(axis=1)", "ends.argmax(axis=0)"), test_measures.test_vulnerability_is_counted_class_by_class),
    Mutant("classes: distances of failures too", line(attacks.by_class, "vulnerability", "np.bincount(source[done], to_numpy(getattr(result, norm))[done], ", "np.bincount(source, to_numpy(getattr(result, norm)), "), test_measures.test_vulnerability_is_counted_class_by_class),
    Mutant("seconds: not kept", line(attacks.result.AttackResult, "save", '"seconds": self.seconds', '"seconds": 0.0'), test_measures.test_seconds_are_kept_and_an_older_file_has_none),
    # --- transformations
    Mutant("destruction: over all the images", line(attacks.transforms, "destruction_rate", "fooled = clean & ~adversarial", "fooled = clean | ~clean"), test_transforms.test_destruction_is_the_definition),
    Mutant("destruction: mistakes made without help", line(attacks.transforms, "destruction_rate", "fooled = clean & ~adversarial", "fooled = ~adversarial"), test_transforms.test_destruction_by_hand),
    Mutant("destruction: what survives", line(attacks.transforms, "destruction_rate", "transformed[fooled]", "(~transformed)[fooled]"), test_transforms.test_destruction_is_the_definition),
    Mutant("brightness: never saturates", line(attacks.transforms, "brightness", "namespace(x).clip(x + amount * (high - low), low, high)", "x + amount * (high - low)"), test_transforms.test_light_by_hand),
    Mutant("brightness: the range forgotten", line(attacks.transforms, "brightness", "amount * (high - low)", "amount"), lambda: test_transforms.test_amounts_are_shares_of_the_range("brightness")),
    Mutant("contrast: about the mean of all channels", line(attacks.transforms, "contrast", "axis=(-2, -1)", "axis=(-3, -2, -1)"), test_transforms.test_light_by_hand),
    Mutant("gamma: one power for all", line(attacks.transforms, "gamma", "2 * drawn - 1", "2 * drawn[:1] - 1 + 0 * drawn"), test_transforms.test_gamma_draws_a_power_for_each_example),
    Mutant("gamma: only darker", line(attacks.transforms, "gamma", "(2 * drawn - 1)", "drawn"), test_transforms.test_gamma_draws_a_power_for_each_example),
    Mutant("blur: variance for deviation", line(attacks.transforms, "_gaussian", "(offsets / max(sigma, 1e-9)) ** 2", "offsets**2 / max(sigma, 1e-9)"), lambda: test_transforms.test_blur_is_the_definition((7, 5), 0.6)),
    Mutant("blur: darker at the edges", line(attacks.transforms, "_gaussian", "weights / weights.sum()", "weights / weights.sum() * (place < size)"), test_transforms.test_blur_keeps_the_mean_and_what_is_flat),
    Mutant("blur: wraps round", line(attacks.transforms, "_gaussian", "np.where(place < size, place, 2 * size - 1 - place)", "place % size"), lambda: test_transforms.test_blur_is_the_definition((7, 5), 0.6)),
    Mutant("blur: cut off too soon", line(attacks.transforms, "_gaussian", "4 * sigma", "2 * sigma"), lambda: test_transforms.test_blur_is_the_definition((7, 5), 0.6)),
    Mutant("perspective: turned round", line(attacks.transforms, "perspective", "np.array(CORNERS) + moves", "np.array(CORNERS) - moves"), test_transforms.test_perspective_follows_its_corners),
    Mutant("perspective: only affine", line(attacks.transforms, "perspective", "/ seen[..., 2:]", "/ 1"), test_transforms.test_perspective_follows_its_corners),
    Mutant("homography: rows and columns mixed up", line(attacks.transforms, "_homography", "corners[:, k, axis, None]", "corners[:, k, 1 - axis, None]"), test_transforms.test_a_homography_takes_the_corners_where_they_are_wanted),
    Mutant("interpolation: the nearest pixel", line(attacks.transforms, "_between", "(1 - v) * above + v * under", "above"), test_transforms.test_reading_between_pixels_by_hand),
    Mutant("interpolation: rows and columns mixed up", line(attacks.transforms, "_between", "row * width + column", "row * height + column"), test_transforms.test_reading_between_pixels_by_hand),
    Mutant("noise: uniform", line(attacks.norms, "box_muller", "xp.cos(2 * math.pi * v)", "2**0.5"), test_transforms.test_noise_is_normal),
    Mutant("noise: one stream twice", line(attacks.transforms, "noise", "uniform(second, x)", "uniform(first, x)"), test_transforms.test_noise_is_normal),
    Mutant("transformations: the seed forgotten", line(attacks.transforms, "_keys", "int(seed)", "0"), lambda: test_transforms.test_examples_and_seeds_are_drawn_apart("noise")),
    Mutant("JPEG: rounded down", line(attacks.transforms, "jpeg", "np.rint(", "np.floor("), lambda: test_transforms.test_jpeg_is_pillows(1)),
    Mutant("JPEG: rows and columns mixed up", line(attacks.transforms, "jpeg", "image.transpose(1, 2, 0)", "image.transpose(2, 1, 0).reshape(*image.shape[1:], 3)"), lambda: test_transforms.test_jpeg_is_pillows(3)),
    Mutant("JPEG: best quality always", line(attacks.transforms, "jpeg", "quality=int(amount)", "quality=100"), lambda: test_transforms.test_jpeg_is_pillows(1)),
    Mutant("photo: one seed for all parts", line(attacks.transforms, "photo", "seed=next(seeds)", "seed=seed"), test_transforms.test_a_photo_is_its_parts_in_a_row),
]
# fmt: on
