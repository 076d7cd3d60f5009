"""Wrong lines in the few-pixel attack, planted on purpose: see `mutants`, which says how."""

from __future__ import annotations

from attacks.evolution import differential_evolution
from attacks.evolution.differential_evolution import Group
from tests.laws import test_few_pixel as laws
from tests.laws.mutants import Mutant, line

# fmt: off
MUTANTS = [
    Mutant("few pixels: a parent twice", line(differential_evolution, "others", "xp.concatenate([taken, number[None]])", "taken"), laws.test_parents_differ_and_everyone_is_asked),
    Mutant("few pixels: its own parent", line(differential_evolution, "others", "+ xp.arange(population), []", "+ population, []"), laws.test_parents_differ_and_everyone_is_asked),
    Mutant("few pixels: taken in any order", line(differential_evolution, "others", "xp.sort(taken, axis=0)", "taken"), laws.test_parents_differ_and_everyone_is_asked),
    Mutant("few pixels: the whole difference", line(Group, "breed", "weight * (x2 - x3)", "(x2 - x3)"), laws.test_children_replace_candidates_that_are_no_better),
    Mutant("few pixels: children of others' candidates", line(Group, "_candidates", "self.population * ", "0 * "), laws.test_children_replace_candidates_that_are_no_better),
    Mutant("few pixels: every child is kept", line(Group, "breed", "fitness >= self.fitness", "fitness == fitness"), laws.test_more_generations_never_do_worse),
    Mutant("few pixels: no child is kept", line(Group, "breed", "fitness >= self.fitness", "fitness != fitness"), laws.test_children_replace_candidates_that_are_no_better),
    Mutant("few pixels: beyond the bounds", line(Group, "breed", "xp.clip(x1 + weight * (x2 - x3), 0, 1)", "x1 + weight * (x2 - x3)"), laws.test_children_replace_candidates_that_are_no_better),
    Mutant("few pixels: the same draws in every generation", line(Group, "breed", "self._uniform(generation, 0, 3)", "self._uniform(1, 0, 3)"), lambda: laws.test_on_a_linear_network_it_finds_the_best_pixels(2, False)),
    Mutant("few pixels: the worst is returned", line(Group, "settle", "argmax", "argmin"), laws.test_more_generations_never_do_worse),
    Mutant("few pixels: failures stay as they were", line(Group, "settle", "= self._drawn(", "= gather(self.run.x, self.active) if (self.fitness < 0).all() else self._drawn("), lambda: laws.test_on_a_linear_network_it_finds_the_best_pixels(1, True)),
    Mutant("few pixels: successes go on", line(Group, "settle", "self.fitness.max(axis=-1) < 0", "self.fitness.max(axis=-1) < xp.inf"), laws.test_more_generations_never_do_worse),
    Mutant("few pixels: ties count", line(Group, "_judge", "xp.minimum(reached, -least)", "reached"), laws.test_a_tie_that_the_goal_does_not_count_is_no_success),
    Mutant("few pixels: all candidates drawn at once", line(Group, "_judge", "for i in range(0, len(flat), victim.batch_size):\n        part = slice(i, i + victim.batch_size)", "for part in [slice(None)]:"), lambda: laws.test_no_more_images_at_a_time_than_the_victim_takes(1, 1)),
    Mutant("few pixels: judged by another's goal", line(Group, "_judge", "self.run.goal.take(rows[part])", "self.run.goal.take(rows[part][::-1])"), laws.test_children_replace_candidates_that_are_no_better),
    Mutant("few pixels: draws of the place in the group", line(Group, "_uniform", "first = self.part.start *", "first = 0 *"), laws.test_no_example_weighs_on_another),
    Mutant("few pixels: draws of the place among the rest", line(Group, "_uniform", "self.active - self.part.start", "namespace(x).arange(len(self.active))"), laws.test_no_example_weighs_on_another),
    Mutant("few pixels: values with too wide a spread", line(Group, "_born", "0.5 + 0.5 * box_muller", "0.5 + box_muller"), laws.test_the_first_candidates_are_the_papers),
    Mutant("few pixels: grey from the start", line(Group, "_born", "(2, channels, channels)", "(2, 1, 1)"), laws.test_the_first_candidates_are_the_papers),
    Mutant("few pixels: rows for columns", line(Group, "_drawn", "row[:, pixel], column[:, pixel]", "column[:, pixel] % 4, row[:, pixel]"), laws.test_pixels_are_set_one_after_the_other),
    Mutant("few pixels: the earlier counts", line(Group, "_drawn", "in range(genes.shape[1])", "in reversed(range(genes.shape[1]))"), laws.test_pixels_are_set_one_after_the_other),
    Mutant("few pixels: shares of 0 to 1, whatever the bounds", line(Group, "_drawn", "low + (high - low) * genes", "1 * genes"), laws.test_pixels_are_set_one_after_the_other),
    Mutant("few pixels: any weight will do", line(differential_evolution, "_check", "0 < float(weight) <= 2", "weight"), lambda: laws.test_refused_before_any_work("too heavy")),
    Mutant("few pixels: three candidates", line(differential_evolution, "few_pixel", "least=LEAST_POPULATION", "least=3"), lambda: laws.test_refused_before_any_work("too few")),
]
# fmt: on
