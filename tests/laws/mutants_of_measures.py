"""Wrong measures and wrong transformations, planted on purpose: see `mutants`, which says how."""

from __future__ import annotations

import attacks.by_class
import attacks.evaluate
import attacks.outcomes
import attacks.result
from tests.laws import test_measures
from tests.laws.mutants import Mutant, line

# fmt: off
MUTANTS = [
    # --- what is measured after an attack
    Mutant("top-k: ties to the last", line(attacks.evaluate, "top_k", "xp.arange(logits.shape[-1]) < labels", "xp.arange(logits.shape[-1]) > labels"), test_measures.test_top_k_is_the_place_in_the_order),
    Mutant("top-k: one too many", line(attacks.evaluate, "top_k", "sum(axis=-1) < k", "sum(axis=-1) <= k"), test_measures.test_top_k_is_the_place_in_the_order),
    Mutant("curve: the first ε everywhere", line(attacks.evaluate, "_at_each", "epsilon=length, ", "epsilon=lengths[0], "), test_measures.test_the_curve_is_the_accuracy_at_each_epsilon),
    Mutant("curve: no work is shared", line(attacks.evaluate, "_at_each", '"Sequence" in', '"nothing" in'), test_measures.test_the_curve_is_the_accuracy_at_each_epsilon),
    Mutant("curve: counts the targets", line(attacks.evaluate, "robustness_curve", "top_k(logits, y, each)", "top_k(logits, goal.labels, each)"), test_measures.test_towards_targets_the_curve_still_counts_the_labels),
    Mutant("table: distances of failures too", line(attacks.evaluate, "_report", "(result, norm))[done]", "(result, norm))"), test_measures.test_the_table_is_counted_by_hand),
    Mutant("table: confidence before for after", line(attacks.evaluate, "_report", "BeforeAndAfter(_mean(before), _mean(after))", "BeforeAndAfter(_mean(after), _mean(before))"), test_measures.test_the_table_is_counted_by_hand),
    Mutant("table: confidence of successes over all", line(attacks.evaluate, "_report", "_mean(after[done])", "_mean(after)"), test_measures.test_the_table_is_counted_by_hand),
    Mutant("table: percentiles turned round", line(attacks.evaluate, "spread", "(50, 10, 90)", "(50, 90, 10)"), test_measures.test_the_table_is_counted_by_hand),
    Mutant("outcomes: mistakes made without help", line(attacks.outcomes, "outcomes", "(p == y) & (q != y)", "q != y"), lambda: test_measures.test_outcomes_are_the_definition("aba", True)),
    Mutant("outcomes: conatural goes first", line(attacks.outcomes, "outcomes", "fooled & also", "(which == 0) & also"), lambda: test_measures.test_outcomes_are_the_definition("aba", True)),
    Mutant("outcomes: any change is benign", line(attacks.outcomes, "outcomes", "(p != y) & (q == y)", "(p != y) & (q != p)"), lambda: test_measures.test_outcomes_are_the_definition("aba", True)),
    Mutant("classes: success among the answers", line(attacks.by_class, "vulnerability", "np.bincount(source[done], minlength=classes)", "np.bincount(after[done], minlength=classes)"), test_measures.test_vulnerability_is_counted_class_by_class),
    Mutant("classes: who is taken for it", line(attacks.by_class, "vulnerability", "ends.argmax(axis=1)", "ends.argmax(axis=0)"), test_measures.test_vulnerability_is_counted_class_by_class),
    Mutant("classes: distances of failures too", line(attacks.by_class, "vulnerability", "np.bincount(source[done], to_numpy(getattr(result, norm))[done], ", "np.bincount(source, to_numpy(getattr(result, norm)), "), test_measures.test_vulnerability_is_counted_class_by_class),
    Mutant("seconds: not kept", line(attacks.result.AttackResult, "save", '"seconds": self.seconds', '"seconds": 0.0'), test_measures.test_seconds_are_kept_and_an_older_file_has_none),
]
# fmt: on
