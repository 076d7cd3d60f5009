"""Papernot et al. 2017, "Practical black-box attacks against machine learning": a substitute of an oracle.

    python demos/papernot_blackbox.py           bundled digits, about two minutes
    python demos/papernot_blackbox.py --full    whole MNIST, three seeds

The oracle is a convolutional network that returns labels only.  The attacker has 150 test digits without labels, drawn
by the seed, which are left out of all measurements.  A substitute, an MLP 784-200-200-10, learns in six rounds from
what the oracle answers, 4,800 queries in all, about images that it makes with its own Jacobian.  FGSM with ε = .3
against the substitute is then tried on the oracle.

    Table 1, Figure 1    round by round: queries, how often the substitute predicts what the oracle predicts, and how
                         many adversarial digits fool the oracle.  Beside them two controls: random noise of the same
                         size, and FGSM with the oracle's own gradient
    Table 2              λ, the step of augmentation, and τ, after which it changes its sign
    Table 3              other digits to begin with, and reservoir sampling at equal queries
    Table 4              oracles of other techniques, from scikit-learn
    Table 5              the oracle as a service over HTTP, asked by several threads at once
    Table 6              what transfers: FGSM, BIM, MI-FGSM, and each on an ensemble of three substitutes, which learned
                         from the same answers
    Figure 2             the digits that the oracle is asked about, and those that fool it

There are two oracles, of the layers of the public tutorial: one that was trained for a single epoch, on at most 10,000
digits, and is about as accurate as the paper's (94.97 %, recalled), and one that was trained on all digits until its
error hardly fell.  The second is harder to fool, with the same substitute and as many queries.

Differences from the paper.  There the oracle belongs to a company.  λ is .3 and its sign changes every two rounds; the
paper has .1.  Both were compared on training digits that no oracle had learned from; table 2 has the others.  --full
can be interrupted and called again: each round of each substitute is saved in demos/out/checkpoints.
"""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from common import (
    HERE,
    at_least_one,
    command_line,
    ending_with_a_sentence,
    mean_and_deviation,
    out_folder,
    provenance,
    table,
    train,
    write_figure,
    write_text,
)

from attacks import AttackResult, Oracle, bim, fgsm, sign_noise, substitute
from attacks.black_box.substitute import Substitute, sizes
from attacks.black_box.techniques import TECHNIQUES
from attacks.black_box.techniques import train as train_technique
from attacks.report import plots
from minidl import evaluate, models
from minidl.backend import asarray, namespace, to_numpy
from minidl.data import Dataset, load_digits, load_mnist
from minidl.files import atomically
from minidl.layers import Conv2d, Dense, Flatten, ReLU
from minidl.losses import CrossEntropy
from minidl.models import Sequential
from minidl.optim import Adam

SEEDS = 150  # images that the attacker has at first
EPSILON = 0.3
STEPS: dict[str, Any] = {"step": 0.3, "period": 2}  # λ and τ
#: The paper's last round (recalled): the substitute's accuracy, and how many of its FGSM images fool the oracle.
PAPER = (0.812, 0.8424)


def oracle_network(train_set: Dataset, seed: int, epochs: int, checkpoints: Path) -> Sequential:
    """An oracle: 64 filters of 8×8 and 128 of 6×6, both with stride 2, 128 of 5×5; trained on smoothed labels."""
    net = Sequential(Conv2d(64, 8, stride=2, padding=3), ReLU(), Conv2d(128, 6, stride=2), ReLU(), Conv2d(128, 5),
                     ReLU(), Flatten(), Dense(10), input_shape=(1, 28, 28), seed=seed)  # fmt: skip
    name = f"oracle, {len(train_set)} digits, seed {seed}, {epochs} epochs.npz"
    train(net, train_set, epochs=epochs, optimizer=Adam(lr=1e-3), loss=CrossEntropy(label_smoothing=0.1), seed=seed,
          checkpoint=checkpoints / name)  # fmt: skip
    return net


def network_oracle(net: Sequential, **options: Any) -> Oracle:
    """An oracle of a network's labels."""
    return Oracle(lambda x: net(x).argmax(axis=1), **options)


def new_substitute(seed: int) -> Sequential:
    """784-200-200-10, with ReLU."""
    return models.mlp((1, 28, 28), hidden=(200, 200), bias=True, seed=seed)


@dataclass
class Attacker:
    """What an attacker does: learn substitutes, and try their adversarial images on the oracle.

    seeds: the images that it has.
    test: on which success is measured; the seeds are not in it.
    seed: of the substitutes and their batches.
    nets: the oracles' networks, by name.
    checkpoints: where rounds are saved, of these oracles alone: a file does not say which oracle answered.
    """

    seeds: Any
    test: Dataset
    seed: int
    nets: dict[str, Sequential]
    checkpoints: Path

    def learn(self, oracle: Oracle, name: str, rounds: int, **options: Any) -> Substitute:
        """A substitute after so many rounds.  It is saved, and continues from one round less if that is saved."""
        settings = STEPS | {"epochs": 10, "seed": self.seed} | options
        options_ = ", ".join(f"{key} {value}" for key, value in settings.items())
        described = f"{name}, {len(self.seeds)} images, {options_}"
        path, earlier = (self.checkpoints / f"substitute of {described}, {n} rounds.npz" for n in (rounds, rounds - 1))
        if earlier.exists() and not path.exists():
            with atomically(path) as file:
                file.write(earlier.read_bytes())
        learned = substitute(oracle, self.seeds, new_substitute(self.seed), rounds, checkpoint=path, progress=True,
                             **settings)  # fmt: skip
        if learned.interrupted:
            raise KeyboardInterrupt
        return learned

    def another(self, learned: Substitute, name: str, k: int) -> Sequential:
        """The k-th other substitute, that learns from the same answers: the oracle is not asked again."""
        net = new_substitute(self.seed + 1000 * k)
        path = f"another of {name}, {self.seed}, {k}, {learned.queries}.npz"
        train(net, Dataset(learned.points, learned.labels), epochs=20, optimizer=Adam(), seed=k,
              checkpoint=self.checkpoints / path)  # fmt: skip
        return net

    def judge(self, learned: Substitute, oracle: Oracle) -> list[float]:
        """How often the substitute agrees with the oracle, and how many of its FGSM images the oracle misclassifies.

        The first of all test digits; the second of those that the oracle classifies correctly as they are.
        """
        result, labels = fgsm(learned.network, self.test.x, self.test.y, epsilon=EPSILON), oracle.predict(self.test.x)
        return [float((result.clean_pred == labels).mean()), self.fooled(result, oracle, labels)]

    def fooled(self, result: AttackResult, oracle: Oracle, labels: Any) -> float:
        """The share of images that the oracle misclassifies after an attack, of those that it did not before.

        labels: the oracle's, of the test digits as they are.
        """
        correct = labels == self.test.y
        fooled = correct & (oracle.predict(result.x_adv) != self.test.y)
        return float(fooled.sum()) / max(int(correct.sum()), 1)

    def learn_and_judge(self, rounds: int, kept_as: str = "{}", **options: Any) -> list[float]:
        """`judge` of a substitute of each oracle, within the budget that the formula says.

        kept_as: the name in the files, around the oracle's.
        """
        counts = {name: options[name] for name in ("doublings", "reservoir") if name in options}
        queries, numbers = sizes(len(self.seeds), rounds, **counts)[-1], []
        for name, net in self.nets.items():
            learned = self.learn(network_oracle(net, budget=queries), kept_as.format(name), rounds, **options)
            if learned.queries != queries:
                raise AssertionError(f"{learned.queries} queries, where the formula says {queries}")
            numbers += self.judge(learned, network_oracle(net))
        return numbers


# --- an oracle as a service ------------------------------------------------------------------------------


@contextmanager
def service(net: Sequential) -> Iterator[str]:
    """A server on this machine that answers a POST of float32 pixels, 28×28 each, with a JSON list of labels."""
    one_at_a_time, as_parameters = threading.Lock(), namespace(net.params["conv1.W"]).asarray

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with one_at_a_time:
                labels = net(as_parameters(np.frombuffer(body, np.float32).reshape(-1, 1, 28, 28))).argmax(axis=1)
            answer = json.dumps(to_numpy(labels).tolist()).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *message: Any) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def remote(url: str) -> Any:
    """A function from images to labels that asks such a server."""

    def predict(x: Any) -> np.ndarray:
        request = urllib.request.Request(url, to_numpy(x).astype(np.float32).tobytes(), method="POST")
        with urllib.request.urlopen(request, timeout=60) as answer:
            return np.array(json.load(answer), int)

    return predict


# --- tables ----------------------------------------------------------------------------------------------


def percent(values: Sequence[float]) -> str:
    """In %, the mean of several seeds ± their standard deviation; nothing for nan."""
    return "" if np.isnan(values).any() else mean_and_deviation([100 * value for value in values], "{:.1f}")


def heads_for_each(attacker: Attacker, *heads: str) -> list[str]:
    """These heads for each oracle, whose name stands above the first."""
    return [f"{name}:\n{heads[0]}" if head == heads[0] else head for name in attacker.nets for head in heads]


def rows_of(measured: dict[Any, list[list[float]]]) -> list[list[Any]]:
    """A row for each setting: its name, and each number in %, as the mean of the seeds."""
    return [[*(name if isinstance(name, tuple) else (name,)), *(percent(each) for each in zip(*of_seeds))]
            for name, of_seeds in measured.items()]  # fmt: skip


def table_1(attackers: list[Attacker], rounds: int) -> tuple[str, np.ndarray]:
    """Round by round, for each oracle; and the numbers for the figure, (rounds, 2 for each oracle)."""
    measured: dict[Any, list[list[float]]] = {}
    for attacker in attackers:
        x, y = attacker.test.x, attacker.test.y
        for ρ, asked in enumerate(sizes(len(attacker.seeds), rounds), start=1):
            measured.setdefault((ρ, asked), []).append(attacker.learn_and_judge(ρ))
        for control, attack in (("noise", sign_noise), ("its own gradient", fgsm)):
            numbers = []
            for net in attacker.nets.values():
                result = attack(net, x, y, epsilon=EPSILON, seed=attacker.seed)
                numbers += [np.nan, attacker.fooled(result, network_oracle(net), result.clean_pred)]
            measured.setdefault((control, ""), []).append(numbers)
    rows = rows_of(measured)
    rows.insert(rounds, ["paper", "6400", percent([PAPER[0]]), percent([PAPER[1]]), "", ""])
    heads = ["round", "queries", *heads_for_each(attackers[0], "agrees", "FGSM .3\nfools")]
    of_rounds = np.array([np.mean(each, axis=0) for each in list(measured.values())[:rounds]])
    return table("1. The substitute of each oracle, round by round, %", heads, rows), of_rounds


def table_2(attackers: list[Attacker], rounds: int) -> str:
    """λ and τ, for each oracle."""
    measured: dict[Any, list[list[float]]] = {}
    settings = [(0.03, None), (0.1, None), (0.3, None), (0.1, 2), (0.3, 1), (0.3, 2), (0.3, 3)]
    for attacker in attackers:
        for step, period in settings:
            key = (f"{step:g}", "never" if period is None else f"{period}")
            measured.setdefault(key, []).append(attacker.learn_and_judge(rounds, step=step, period=period))
    heads = ["λ", "sign changes\nafter rounds", *heads_for_each(attackers[0], "agrees", "fools")]
    return table(f"2. Steps of augmentation, {rounds} rounds, %", heads, rows_of(measured))


def table_3(attackers: list[Attacker], others: Any, rounds: int) -> str:
    """The last digits of the test set instead of drawn ones; and a reservoir for 3,200 queries from 100 digits.

    100·2⁵ is 3,200, and so is 100·2³ + 6·400.
    """
    measured: dict[Any, list[list[float]]] = {}
    reservoir = {"doublings": 3, "reservoir": 400}
    for attacker in attackers:
        last, fewer = replace(attacker, seeds=others), replace(attacker, seeds=attacker.seeds[:100])
        for who, what, kept_as, count, options in (
            (attacker, "150 drawn digits", "{}", rounds, {}),
            (last, "the last 150 of the test set", "{}, the last digits", rounds, {}),
            (fewer, "100 drawn digits", "{}", 6, {}),
            (fewer, "100, reservoir after 3 doublings", "{}", 10, reservoir),
        ):
            key = (what, count, sizes(len(who.seeds), count, **options)[-1])
            measured.setdefault(key, []).append(who.learn_and_judge(count, kept_as, **options))
    heads = ["begun with", "rounds", "queries", *heads_for_each(attackers[0], "agrees", "fools")]
    return table("3. Other digits to begin with, and reservoir sampling, %", heads, rows_of(measured))


def table_4(attackers: list[Attacker], train_set: Dataset, rounds: int) -> str:
    """Oracles of scikit-learn's techniques."""
    measured: dict[Any, list[list[float]]] = {}
    for attacker in attackers:
        for name, described in TECHNIQUES.items():
            if name == "DNN":
                continue
            model = train_technique(name, train_set.take(min(10_000, len(train_set))), seed=attacker.seed)
            learned = attacker.learn(model.oracle(), name, rounds)
            error = float((model.predict(attacker.test.x) != to_numpy(attacker.test.y)).mean())
            measured.setdefault(described, []).append([error, *attacker.judge(learned, model.oracle())])
    return table(f"4. Oracles of other techniques, {rounds} rounds, %", ["oracle", "its error", "agrees", "fools"],
                 rows_of(measured))  # fmt: skip


def table_5(attacker: Attacker, rounds: int) -> str:
    """The first rounds again, over HTTP: the same bits as in this process."""
    (name, net), needed = next(iter(attacker.nets.items())), sizes(len(attacker.seeds), rounds)[-1]
    with TemporaryDirectory() as folder, service(net) as url, ThreadPoolExecutor(4) as threads:
        oracle = Oracle(remote(url), batch_size=50, budget=needed, executor=threads)
        far = replace(attacker, checkpoints=Path(folder)).learn(oracle, "the service", rounds)
    near = attacker.learn(network_oracle(net), name, rounds)
    same = all((far.network.params[name] == w).all() for name, w in near.network.params.items())
    rows = [[rounds, oracle.queries, oracle.left, "yes" if same else "no"]]
    return table("5. The oracle as a service over HTTP, four threads, 50 images a request",
                 ["rounds", "queries", "left of the budget", "the same network as without"], rows)  # fmt: skip


def table_6(attackers: list[Attacker], rounds: int) -> str:
    """One substitute, and an ensemble of three that learned from the same images, under three attacks."""
    attacks = {"FGSM": fgsm, "BIM": bim, "MI-FGSM": partial(bim, momentum=1.0)}
    measured: dict[Any, list[list[float]]] = {}
    for attacker in attackers:
        x, y, fooled = attacker.test.x, attacker.test.y, {}
        for name, net in attacker.nets.items():
            oracle, learned = network_oracle(net), attacker.learn(network_oracle(net), name, rounds)
            labels, several = oracle.predict(x), [learned.network]
            several += [attacker.another(learned, name, k) for k in (1, 2)]
            for what, attack in attacks.items():
                for count in (1, 3):
                    result = attack(models.ensemble(*several[:count]), x, y, epsilon=EPSILON)
                    fooled.setdefault((what, count), []).append(attacker.fooled(result, oracle, labels))
        for key, numbers in fooled.items():
            measured.setdefault(key, []).append(numbers)
    heads = ["attack", "substitutes", *heads_for_each(attackers[0], "fools")]
    return table(f"6. Attacks with ε = {EPSILON} on substitutes of {rounds} rounds, %", heads, rows_of(measured))


# --- figures ---------------------------------------------------------------------------------------------


def figure_1(names: list[str], numbers: np.ndarray, queries: list[int]) -> Any:
    """Agreement and transfer against queries, for each oracle."""
    lines = {}
    for i, name in enumerate(names):
        lines[f"{name}: substitute agrees"] = 100 * numbers[:, 2 * i]
        lines[f"{name}: FGSM .3 fools it"] = 100 * numbers[:, 2 * i + 1]
    marks = {"paper: agrees": (6400.0, 100 * PAPER[0]), "paper: fools": (6400.0, 100 * PAPER[1])}
    return plots.curves(queries, lines, title="What a substitute learns from queries", x_label="queries",
                        y_label="% of test digits", y_limits=(0, 102), marks=marks)  # fmt: skip


def figure_2(attacker: Attacker, learned: Substitute) -> Any:
    """Images that the first oracle was asked about, round after round, and adversarial ones with its labels."""
    count, rows, captions = 10, {}, {}
    net, edges = next(iter(attacker.nets.values())), [0, *learned.sizes]
    for ρ in sorted({0, 1, len(learned.sizes) // 2, len(learned.sizes) - 1} & set(range(len(learned.sizes)))):
        part = slice(edges[ρ], edges[ρ] + count)
        rows[f"round {ρ + 1}"] = list(to_numpy(learned.points[part]))
        captions[f"round {ρ + 1}"] = [str(k) for k in to_numpy(learned.labels[part])]
    result = fgsm(learned.network, attacker.test.x[:count], attacker.test.y[:count], epsilon=EPSILON)
    labels = to_numpy(net(result.x_adv).argmax(axis=1))
    rows["FGSM .3"], captions["FGSM .3"] = list(to_numpy(result.x_adv)), [str(k) for k in labels]
    wrong = {"FGSM .3": list(labels != to_numpy(attacker.test.y[:count]))}
    title = "What the oracle was asked about, with its labels; last row: adversarial digits (framed: fooled)"
    return plots.image_rows(rows, captions, wrong=wrong, title=title)


def run(arguments: Any, checkpoints: Path, folder: Path) -> str:
    """All tables and figures."""
    train_set, test = load_mnist() if arguments.full else load_digits()
    train_set = train_set.take(arguments.learn_from or len(train_set))
    last, attackers, errors = test.x[-SEEDS:], [], []
    for seed in range(arguments.seed, arguments.seed + arguments.seeds):
        # Neither the drawn digits nor the last ones are tested on; no oracle has learned from any of them.
        order = np.random.default_rng(seed).permutation(len(test) - SEEDS)
        rest = test.take(asarray(np.sort(order[SEEDS:])[: arguments.images]))
        few = train_set.take(min(10_000, len(train_set)))
        recipes = {"1 epoch": (few, 1), f"{arguments.epochs} epochs": (train_set, arguments.epochs)}
        nets = {name: oracle_network(digits, seed, epochs, checkpoints) for name, (digits, epochs) in recipes.items()}
        errors.append([evaluate(net, rest).error for net in nets.values()])
        folder_of_oracles = checkpoints / f"{len(train_set)} digits, {arguments.epochs} epochs, seed {seed}"
        attackers.append(Attacker(test.x[asarray(order[:SEEDS])], rest, seed, nets, folder_of_oracles))
    names = list(attackers[0].nets)
    first, numbers = table_1(attackers, arguments.rounds)
    described = "; ".join(f"{name}: {percent(each)}" for name, each in zip(names, zip(*errors)))
    data = "whole MNIST" if arguments.full else "the bundled digits"
    text = "\n".join([
        provenance(arguments.seed, arguments.seeds),
        f"{data}: {SEEDS} for the attacker, {len(attackers[0].test)} others to test on.\n"
        f"Oracles' test errors, %: {described}\n",
        first, table_2(attackers, arguments.rounds), table_3(attackers, last, arguments.rounds),
        table_4(attackers, train_set, arguments.rounds), table_5(attackers[0], min(3, arguments.rounds)),
        table_6(attackers, arguments.rounds),
    ])  # fmt: skip
    write_figure(figure_1(names, numbers, sizes(SEEDS, arguments.rounds)), folder / "papernot_blackbox_rounds.png")
    learned = attackers[0].learn(network_oracle(attackers[0].nets[names[0]]), names[0], arguments.rounds)
    write_figure(figure_2(attackers[0], learned), folder / "papernot_blackbox_digits.png")
    return text


def main() -> None:
    """Learn, attack, count, print, draw."""
    parser = command_line(__doc__ or "", full="whole MNIST, three seeds")
    parser.add_argument("--seeds", type=at_least_one, help="how many (default: 1; 3 with --full)")
    parser.add_argument(
        "--rounds", type=at_least_one, default=6, help="of the substitute (default: 6, as in the paper)"
    )
    parser.add_argument("--images", type=at_least_one, help="digits to test on (default: 500; all others with --full)")
    parser.add_argument("--learn-from", type=at_least_one, help="digits for the oracle (default: all)")
    parser.add_argument("--epochs", type=at_least_one, help="of the oracle (default: 5; 6 with --full)")
    arguments = parser.parse_args()
    arguments.seeds = arguments.seeds or (3 if arguments.full else 1)
    arguments.epochs = arguments.epochs or (6 if arguments.full else 5)
    arguments.images = arguments.images or (None if arguments.full else 500)
    folder = out_folder(arguments)
    with ending_with_a_sentence(saved=arguments.full), TemporaryDirectory() as unsaved:
        text = run(arguments, HERE / "out" / "checkpoints" / "blackbox" if arguments.full else Path(unsaved), folder)
    print(text)
    write_text(folder / "papernot_blackbox.txt", text)


if __name__ == "__main__":
    main()
