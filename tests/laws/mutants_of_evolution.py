"""Wrong lines in evolution and gradient ascent, planted on purpose: see `mutants`, which says how."""

from __future__ import annotations

import sys

from attacks.evolution import (
    CPPN,
    DirectEncoding,
    Draws,
    Elitism,
    FoolingResult,
    MapElites,
    checkpoints,
    cppn,
    direct,
    evolve,
    fool_cppn,
    fool_direct,
    genome,
    gradient_ascent,
    pictures,
    result,
    structure,
)
from attacks.evolution.structure import Wiring
from minidl import identity
from tests.laws import test_encodings as encodings
from tests.laws import test_evolution as laws
from tests.laws import test_evolution_checkpoints as resumed
from tests.laws import test_gradient_ascent as ascent
from tests.laws import test_structure as wiring
from tests.laws import test_structure_by_chance as chance
from tests.laws.mutants import Mutant, line
from tests.unit import test_evolution as asked
from tests.unit import test_evolution_pictures as drawn

loop = laws.loop
fooling = sys.modules[fool_direct.__module__]


def replayed(name: str, kind: str = "MapElites") -> None:
    laws.test_survivors_are_those_of_plain_loops(name, kind)


def interrupted(tmp_path: object) -> None:
    resumed.test_interrupted_while_images_are_judged("crossed", 3, tmp_path)


def refused(what: str) -> object:
    return lambda tmp_path: resumed.test_checkpoints_of_other_runs_are_refused(what, tmp_path)


def unnamed(tmp_path: object) -> None:
    resumed.test_what_has_no_name_has_no_checkpoint("victim", tmp_path)


def longer(tmp_path: object) -> None:
    resumed.test_a_finished_run_goes_on("direct", MapElites, tmp_path)


def read(tmp_path: object) -> None:
    laws.test_results_come_back_from_files_to_the_bit("cppn", "Elitism", tmp_path)


def structured(operation: str) -> object:
    return lambda: encodings.test_structure_changes_as_often_as_it_is_asked_to(operation, 0.25)


def first(operation: str, possible: str) -> object:
    """An operation that takes always the first of those that are possible."""
    number = f"({possible}).reshape(len(net.hidden), -1).argmax(axis=1)"
    wrong = f"(({possible}).any(axis=(1, 2)), {number} // net.size, {number} % net.size)"
    return line(structure, operation, f"one_of({possible}, draws)", wrong)


def passed_on(monkeypatch: object) -> None:
    asked.test_all_that_is_asked_for_is_passed_on(fool_direct, DirectEncoding, monkeypatch)


def passed_on_to_networks(monkeypatch: object) -> None:
    asked.test_all_that_is_asked_for_is_passed_on(fool_cppn, CPPN, monkeypatch)


# fmt: off
MUTANTS = [
    # --- who survives
    Mutant("archive: equals are let in", line(MapElites, "challenged", "reached > self", "reached >= self"), lambda: laws.test_one_child_may_take_every_niche_and_equals_take_none(MapElites, [0.9, 0.5, 0.5])),
    Mutant("archive: the least fit of the children", line(MapElites, "challenged", "fitness.argmax(axis=0), fitness.max", "fitness.argmin(axis=0), fitness.max"), lambda: replayed("direct")),
    Mutant("archive: children try where they are best alone", line(MapElites, "admitted", "return fitness", "return fitness * (fitness == fitness.max(axis=1)[:, None])"), lambda: replayed("cppn")),
    Mutant("archive: elitism in every niche", line(Elitism, "admitted", "xp.where(own, fitness, -xp.inf)", "fitness"), lambda: replayed("cppn", "Elitism")),
    Mutant("archive: genes of the dead", line(MapElites, "challenged", "self.genomes.replaced(taken, children.take(winners))", "self.genomes"), lambda: replayed("direct")),
    Mutant("archive: the survivors are born anew", line(MapElites, "challenged", "self.born, taken, generation", "self.born, slice(None), generation"), lambda: replayed("cppn")),
    Mutant("archive: no parent from the last niche", line(MapElites, "parents", "len(self)", "len(self) - 1"), laws.test_parents_come_from_every_niche_alike),
    Mutant("archive: niches without images", line(MapElites, "from_arrays", "len(set(lengths)) != 1", "False"), laws.test_other_files_are_no_results),
    # --- the loop
    Mutant("evolve: its parents' partners are themselves", line(loop.Breeder, "next", "niches, others = elites.parents(self.population, draws),", "niches = others ="), laws.test_partners_are_drawn_on_their_own),
    Mutant("evolve: one key for all generations", line(loop.Breeder, "next", "Draws(self.seed, generation)", "Draws(self.seed, 1)"), laws.test_generations_and_seeds_draw_anew),
    Mutant("evolve: one key for all seeds", line(loop.Breeder, "next", "Draws(self.seed, generation)", "Draws(0, generation)"), laws.test_generations_and_seeds_draw_anew),
    Mutant("evolve: logits for probabilities", line(loop.Breeder, "fitness", "kernels(logits).log_softmax(logits)", "logits"), lambda: replayed("direct")),
    Mutant("evolve: probabilities, rounded to 0", line(loop.Breeder, "fitness", "kernels(logits).log_softmax(logits)", "namespace(logits).log(kernels(logits).softmax(logits))"), laws.test_classes_that_are_all_but_impossible_are_climbed),
    Mutant("evolve: probabilities, rounded to 1", line(loop.Breeder, "fitness", '.astype("float64")', ""), laws.test_single_precision_is_not_the_end),
    Mutant("evolve: images not looked at", line(loop.Breeder, "drawn", "self.victim.check_images", "(lambda *_: None)"), laws.test_images_out_of_bounds_are_refused_in_every_generation),
    Mutant("evolve: the history of a generation that was not kept", line(loop.Evolution, "keep", "self.history[:done]", "self.history"), resumed.test_interrupted_at_any_line),
    Mutant("evolve: the state of an earlier generation", line(loop.Evolution, "step", "self.state = elites, done + 1", "self.state = elites, max(done, 1)"), interrupted),
    Mutant("evolve: Ctrl-C leaves no checkpoint", line(loop, "evolve", "interrupted = True\n        run.keep()", "interrupted = True"), interrupted),
    Mutant("evolve: the clock is never set back", line(loop.Evolution, "keep", "self._written = time.perf_counter()", "pass"), resumed.test_checkpoints_are_written_now_and_then),
    Mutant("evolve: resumed runs were never asked before", line(loop.Evolution, "__init__", " - self.done * breeder.population", ""), longer),
    # --- checkpoints and files
    Mutant("checkpoint: whatever the seed", line(loop.Evolution, "__init__", '"seed": breeder.seed', '"seed": 0'), refused("seed")),
    Mutant("checkpoint: whatever the victim says", line(checkpoints, "check_judge", "not np.allclose(now, then, rtol=1e-2, atol=1e-3)", "False"), resumed.test_a_victim_that_judges_otherwise_is_another),
    Mutant("checkpoint: whatever the backend", line(loop.Evolution, "__init__", "current().name", "0"), resumed.test_other_backends_round_otherwise),
    Mutant("evolve: failures cost everything", line(loop, "evolve", "run.keep()\n        raise", "raise"), resumed.test_a_victim_that_fails_loses_nothing_but_its_generation),
    Mutant("evolve: as many children as they please", line(loop.Breeder, "drawn", "== self.population", ""), lambda: laws.test_encodings_that_do_not_as_they_are_told_are_refused("vary", lambda genomes: genomes.take([0, 1, 2]), laws.ShapeError, "gives 8")),
    Mutant("checkpoint: whatever the network has learnt", line(checkpoints, "names", "digest(*params.values())", "0"), refused("parameters")),
    Mutant("checkpoint: of things that have no name", line(identity, "_name", "if any(", "if False and any("), unnamed),
    Mutant("checkpoint: from the future", line(checkpoints, "resumed", "<= len(history) <= generations", "<= len(history)"), resumed.test_checkpoints_that_are_older_than_the_run_are_refused),
    Mutant("fooling: every archive is MAP-Elites", line(FoolingResult, "load", 'ARCHIVES[header["archive"]]', "MapElites"), read),
    Mutant("fooling: arrays of any length", line(result, "_check_sound", "len(lengths) != 1", "False"), laws.test_other_files_are_no_results),
    Mutant("fooling: an archive known by its name alone", line(FoolingResult, "save", "ARCHIVES.get(kind) is not type(self.archive)", "kind not in ARCHIVES"), laws.test_an_archive_of_ones_own_has_no_file),
    Mutant("fooling: the median over generations", line(FoolingResult, "median", "axis=1", "axis=0"), laws.test_any_network_shape_and_bounds),
    Mutant("fooling: from 0 to 1 whatever the victim", line(fooling, "canvas", "{\"shape\": tuple(shape), \"bounds\": victim.bounds", "{\"shape\": tuple(shape), \"bounds\": (0, 1)"), laws.test_any_network_shape_and_bounds),
    # --- what is asked for
    Mutant("evolve: half the paper's population", lambda patch: patch.setitem(evolve.__kwdefaults__, "population", 100), lambda: asked.test_defaults_are_the_papers(evolve)),
    Mutant("CPPN: every default ½", lambda patch: patch.setattr(CPPN.__init__, "__defaults__", tuple(0.5 for _ in CPPN.__init__.__defaults__)), lambda: asked.test_defaults_are_the_papers(CPPN)),
    Mutant("fool_direct: no checkpoint", line(fooling, "fool_direct", "checkpoint=checkpoint", "checkpoint=None"), passed_on),
    Mutant("fool_direct: MAP-Elites, whatever is asked for", line(fooling, "fool_direct", "archive=archive, ", ""), passed_on),
    Mutant("fool_direct: one size of population", line(fooling, "fool_direct", "population=population,", ""), passed_on),
    Mutant("fool_cppn: no checkpoint", line(fooling, "fool_cppn", "checkpoint=checkpoint", "checkpoint=None"), passed_on_to_networks),
    Mutant("fool_cppn: one seed", line(fooling, "fool_cppn", "seed=seed", "seed=0"), passed_on_to_networks),
    Mutant("fool_cppn: networks as they please", line(fooling, "_fooled", " | encoding", ""), passed_on_to_networks),
    Mutant("evolve: a second, always", line(loop.Evolution, "result", "time.perf_counter() - self._begun", "1.0"), lambda: asked.test_seconds_are_those_of_the_clock(fool_direct)),
    Mutant("graph: lines of one width", line(pictures, "_draw_graph", "2.2 * abs(weights[i, j]) / heaviest", "2.2"), drawn.test_lines_are_as_wide_as_weights_are_great_and_show_their_signs),
    Mutant("graph: one colour for both signs", line(pictures, "_draw_graph", "if weights[i, j] > 0 else", "if True else"), drawn.test_lines_are_as_wide_as_weights_are_great_and_show_their_signs),
    # --- draws and pixels
    Mutant("draws: the same for every question", line(Draws, "key", "self.asked += 1", "self.asked += 0"), laws.test_partners_are_drawn_on_their_own),
    Mutant("draws: what does not happen happens", line(Draws, "happens", "< probability", "> probability"), lambda: encodings.test_partners_have_a_part_as_often_as_they_are_asked_to(0.3)),
    Mutant("genomes: others in the first rows", line(genome, "replaced", "copied[rows] = others", "copied[: len(rows)] = others"), lambda: replayed("direct")),
    Mutant("direct: a rate that stays", line(DirectEncoding, "vary", "0.5 **", "1.0 **"), lambda: encodings.test_fewer_genes_move_as_generations_pass(20, 0.1)),
    Mutant("direct: a rate that falls in every generation", line(DirectEncoding, "vary", "generation // self.halved_every", "generation / self.halved_every"), lambda: encodings.test_fewer_genes_move_as_generations_pass(9, 0.4)),
    Mutant("direct: all are crossed", line(DirectEncoding, "vary", "happens[:, None, None, None], crossed, pixels", "crossed == crossed, crossed, pixels"), lambda: encodings.test_partners_have_a_part_as_often_as_they_are_asked_to(0.3)),
    Mutant("crossover: an exponent of 1/η", line(direct, "simulated_binary_crossover", "(strength + 1)", "strength"), lambda: encodings.test_crossovers_spread_as_deb_and_agrawal_have_it(2.0)),
    Mutant("crossover: always on the partner's side", line(direct, "simulated_binary_crossover", "half, -half", "half, half"), lambda: encodings.test_crossovers_spread_as_deb_and_agrawal_have_it(2.0)),
    Mutant("crossover: out of bounds", line(direct, "simulated_binary_crossover", "return xp.clip(", "return (lambda x, *_: x)("), lambda: encodings.test_crossovers_spread_as_deb_and_agrawal_have_it(2.0)),
    Mutant("crossover: spread on one side, contracted on the other", line(direct, "simulated_binary_crossover", "side < 0.5", "u < 0.5"), lambda: encodings.test_crossovers_spread_as_deb_and_agrawal_have_it(2.0)),
    # --- networks that paint
    Mutant("CPPN: only weights above 0", line(CPPN, "start", "* 2 - 1) * self.limit", ") * self.limit"), encodings.test_the_first_networks_have_no_hidden_neurons),
    Mutant("CPPN: dark where an output is below 0", line(CPPN, "render", "abs(outputs)", "outputs.clip(0)"), lambda: encodings.test_pixels_are_outputs_of_functions(0)),
    Mutant("CPPN: rounded up beyond the bounds", line(CPPN, "render", "xp.minimum(images, high)", "images"), encodings.test_images_have_their_shape_and_keep_their_bounds),
    Mutant("CPPN: a square radius", line(cppn, "coordinates", "np.hypot(x, y)", "np.maximum(abs(x), abs(y))"), encodings.test_coordinates_run_from_edge_to_edge),
    Mutant("CPPN: rows for columns", line(cppn, "coordinates", "y, x = (grid.ravel()", "x, y = (grid.ravel()"), encodings.test_what_hears_only_x_has_columns_and_only_y_rows),
    Mutant("CPPN: neurons as often as connections", line(CPPN, "vary", "self.add_neuron, count", "self.add_connection, count"), structured("add_neuron")),
    # --- structure
    Mutant("structure: parents are rewired", line(Wiring, "of", 'genomes["weights"].copy()', 'genomes["weights"]'), wiring.test_a_connection_goes),
    Mutant("structure: connections backwards", line(Wiring, "free", "& forward", ""), wiring.test_a_connection_comes),
    Mutant("structure: to neurons that are not there", line(Wiring, "hear", "(self.speak() | (slots >= self.end))", "(self.speak() | (slots >= 0))"), wiring.test_a_connection_comes),
    Mutant("structure: the first that is possible", line(structure, "one_of", "draws.below(so_far[:, -1], len(possible))", "0 * draws.below(so_far[:, -1], len(possible))"), wiring.test_all_that_are_possible_are_equally_likely),
    Mutant("structure: the one before", line(structure, "one_of", "len(possible)) + 1", "len(possible))"), wiring.test_one_of_those_that_are_possible),
    Mutant("structure: all that a neuron says goes", line(structure, "delete_connection", "i[n], j[n]] = 0", "i[n]] = 0"), wiring.test_a_connection_goes),
    Mutant("structure: connections move to other sources alone", line(structure, "change_connection", "happens(0.5,", "happens(0.0,"), wiring.test_a_connection_moves_at_either_end_alike),
    Mutant("structure: what moves stays, too", line(structure, "change_connection", "i[n], j[n]] = 0", "i[n], j[n]] *= 1"), wiring.test_a_connection_moves),
    Mutant("structure: a neuron beside its connection", line(structure, "add_neuron", "= 1, weight, 0", "= 1, weight, weight"), wiring.test_a_neuron_comes),
    Mutant("structure: the old weight twice", line(structure, "add_neuron", "= 1, weight, 0", "= weight, weight, 0"), wiring.test_a_neuron_comes),
    Mutant("structure: a neuron too many", line(structure, "add_neuron", "net.hidden < net.end)", "net.hidden <= net.end)"), wiring.test_a_neuron_comes),
    Mutant("structure: new neurons come first", line(structure, "add_neuron", "p = first + ", "p = first + 0 * "), wiring.test_a_new_neuron_may_come_anywhere_between_and_be_anything),
    Mutant("structure: the last neuron goes", line(structure, "delete_neuron", "draws.below(net.hidden, len(net.hidden))", "net.hidden - 1"), wiring.test_any_neuron_may_go),
    Mutant("structure: functions stay behind", line(structure, "_reorder", "xp.take_along_axis(net.functions[n], source, axis=1)", "net.functions[n]"), wiring.test_a_neuron_goes_with_its_connections),
    Mutant("structure: weights from nowhere", line(structure, "change_weights", "namespace(net.weights).where(net.weights != 0, moved, 0)", "moved"), wiring.test_weights_move_and_connections_stay),
    Mutant("structure: functions of what hears nothing", line(structure, "change_functions", "& net.hear()", ""), wiring.test_functions_are_drawn_anew_where_something_is_heard),
    # --- structure, by chance
    Mutant("chance: connections come at the first place", first("add_connection", "net.free()"), chance.test_a_connection_may_come_anywhere),
    Mutant("chance: the first connection goes", first("delete_connection", "net.weights != 0"), chance.test_any_connection_may_go),
    Mutant("chance: the first connection moves", first("change_connection", "net.weights != 0"), chance.test_any_connection_may_move_and_to_anywhere_it_can),
    Mutant("chance: connections move to the first place", first("change_connection", "net.free() & kept"), chance.test_any_connection_may_move_and_to_anywhere_it_can),
    Mutant("chance: neurons come into the first connection", first("add_neuron", "net.weights != 0"), chance.test_a_neuron_may_come_into_any_connection),
    Mutant("chance: new weights above 0 alone", line(structure, "add_connection", "* 2 - 1) * limit", ") * limit"), lambda: chance.test_new_weights_lie_anywhere_within_the_limit(0.7)),
    Mutant("chance: new weights of 1", line(structure, "add_connection", "= weight[n]", "= 1"), lambda: chance.test_new_weights_lie_anywhere_within_the_limit(30.0)),
    Mutant("chance: new weights within 10", line(structure, "add_connection", "- 1) * limit", "- 1) * 10"), lambda: chance.test_new_weights_lie_anywhere_within_the_limit(0.7)),
    Mutant("chance: the same moves for ever", line(structure, "change_weights", "draws.key()", "0"), lambda: chance.test_weights_move_as_far_as_they_are_asked_to(15.0, 0.7)),
    Mutant("chance: moves of one strength", line(structure, "change_weights", "rate, strength,", "rate, 1,"), lambda: chance.test_weights_move_as_far_as_they_are_asked_to(15.0, 0.7)),
    Mutant("CPPN: moves of one strength", line(CPPN, "vary", "self.rate, self.strength", "self.rate, 1"), lambda: chance.test_weights_move_as_far_as_they_are_asked_to(15.0, 0.7)),
    Mutant("CPPN: moves within 10", line(CPPN, "vary", "self.strength, self.limit", "self.strength, 10"), lambda: chance.test_weights_move_as_far_as_they_are_asked_to(15.0, 0.7)),
    # --- gradient ascent
    Mutant("ascent: of log p", line(gradient_ascent, "_step", "p * norm", "norm"), ascent.test_a_step_is_the_papers),
    Mutant("ascent: no decay", line(gradient_ascent, "_step", "(1 - decay)", "1"), ascent.test_a_step_is_the_papers),
    Mutant("ascent: it never slows down", line(gradient_ascent, "_step", "LATE * (1 - p)", "rise"), ascent.test_late_steps_ask_for_a_tenth_of_what_is_missing),
    Mutant("ascent: out of bounds", line(gradient_ascent, "_step", "xp.clip(centre + (1 - decay) * (moved - centre), low, high)", "centre + (1 - decay) * (moved - centre)"), ascent.test_bounds_counts_and_honesty),
    Mutant("ascent: leaps as long as are asked for", line(gradient_ascent, "_step", ", widest)", ", xp.inf)"), ascent.test_no_step_leaps_further_than_the_box_is_wide),
    Mutant("ascent: directions of no length", line(gradient_ascent, "_step", "l2_steepest(slope)", "(slope / per_example(norm, x))"), ascent.test_where_there_is_no_slope_images_stay),
    Mutant("ascent: history a step late", line(gradient_ascent, "fool_gradient", "history[1:done]", "history[: done - 1]"), ascent.test_history_lines_up_with_images),
    Mutant("ascent: images of a step that was not kept", line(gradient_ascent, "fool_gradient", "x, interrupted = state[0], True", "interrupted = True"), ascent.test_interrupted_at_any_line),
    Mutant("ascent: it starts far from the centre", line(gradient_ascent, "_noisy", "/ 255", "/ 25"), lambda: ascent.test_it_starts_around_the_centre((-1.0, 3.0))),
]
# fmt: on
