"""Find a cycle of twelve designs: `python -m pipeline.designs.find_cycle --seed N --out FILE`.

One scenario is K5: its five vertices are the questions, its ten edges the values. A value stands in
the two questions that its edge joins, so that any two questions share exactly one value. Each edge
has a direction; the question at its tail gets the action of generator 0, the one at its head that
of generator 1. With two edges leaving and two entering every vertex (a regular tournament) a
question holds two actions of each generator.

That much holds in every scenario by construction. What has to be searched for is evenness over
twelve scenarios, in four steps, each of which keeps what the steps before it reached:

1. which value is which edge, until each of the 45 pairs of values meets 8 times;
2. which of the 24 regular tournaments, so that pairs meet in all four mixtures of generators; this
   cannot be exact (8 meetings, of which 2/3 are of different generators) and is made as even as it
   gets;
3. the order of each question's options, until each value of each generator stands at each letter 3
   times and each of two values stands before the other 4 times;
4. the targets, until each value of each generator is asked for 3 times, and each letter 15 times.

Twelve is the least length: letters need a multiple of 4, pairs one of 3. It takes some seconds, at
times a minute. The same seed gives the same file.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from pipeline.designs import DealtQuestion, Design, write_design
from pipeline.designs.anneal import Move, Schedule, anneal
from pipeline.designs.measure import show
from pipeline.designs.script import run
from pipeline.values import value_ids

LENGTH = 12
VALUES, QUESTIONS = range(10), range(5)
EDGES = tuple(itertools.combinations(QUESTIONS, 2))
PAIRS = tuple(itertools.combinations(VALUES, 2))
MEET = [[int(len({*a} & {*b}) == 1) for b in EDGES] for a in EDGES]
"""1 where two edges have a vertex in common: two values that are these edges share a question."""
TOURNAMENTS = tuple(
    heads
    for heads in itertools.product(*EDGES)
    if all(heads.count(question) == 2 for question in QUESTIONS)
)
"""The regular tournaments: for each edge, the vertex that it enters."""

_NEXT = (0, 2, 3, 1, 5, 6, 4, 8, 9, 7)
"""Moves nine of the ten values around in three rings."""

Pair = tuple[int, int]
Option = tuple[int, int]  # value, generator
Options = list[Option]  # of one question

# Found by trying. What a search does not reach, it begins anew.
_VALUES = Schedule(start=3.0, factor=0.999, least=0.5, moves=5_000)
_GENERATORS = Schedule(start=3.0, factor=0.9998, least=0.01, moves=40_000)
_LETTERS = Schedule(start=1.0, factor=0.99999, least=0.5, moves=600_000)
_TARGETS = Schedule(start=1.0, factor=0.999, least=0.2, moves=10_000)


def _kind(a: int, b: int) -> Pair:
    """Return the first of the pairs that two values become when they move along `_NEXT`."""
    once = _NEXT[a], _NEXT[b]
    moved = ((a, b), once, (_NEXT[once[0]], _NEXT[once[1]]))
    return min((min(pair), max(pair)) for pair in moved)


_KINDS = {pair: _kind(*pair) for pair in itertools.permutations(VALUES, 2)}


def find(seed: int) -> Design:
    """Return a cycle of twelve designs with the properties that this module names."""
    rng = random.Random(seed)  # noqa: S311 - a search, no secret
    questions = _with_generators(_edges_of_values(rng), rng)
    _put_in_order(questions, rng)
    targets = _targets(questions, rng)
    names = value_ids()
    dealt = [
        DealtQuestion(tuple((names[value], generator) for value, generator in options), target)
        for options, target in zip(questions, targets, strict=True)
    ]
    return Design(tuple(tuple(dealt[at : at + 5]) for at in range(0, len(dealt), 5)))


def _edges_of_values(rng: random.Random) -> list[list[int]]:
    """Return for each scenario the edge that each value is.

    A third of the scenarios is searched for. The others follow from them by moving the values along
    `_NEXT`, which makes all pairs of one kind meet equally often: 15 counts instead of 45.
    """
    while True:
        found = [rng.sample(VALUES, len(EDGES)) for _ in range(LENGTH // 3)]
        excess: dict[Pair, float] = dict.fromkeys(_KINDS.values(), -8)
        for edge in found:
            for a, b in PAIRS:
                excess[_KINDS[a, b]] += MEET[edge[a]][edge[b]]

        def swap_two_values(found: list[list[int]] = found) -> Move[Pair]:
            edge = rng.choice(found)
            a, b = rng.choice(PAIRS)
            changes: Counter[Pair] = Counter()
            for other in VALUES:
                if other not in (a, b):
                    now = MEET[edge[b]][edge[other]] - MEET[edge[a]][edge[other]]
                    changes[_KINDS[a, other]] += now
                    changes[_KINDS[b, other]] -= now

            def accept() -> None:
                edge[a], edge[b] = edge[b], edge[a]

            return changes.items(), accept

        if anneal(excess, swap_two_values, rng, _VALUES):
            second = [[edge[_NEXT[value]] for value in VALUES] for edge in found]
            third = [[edge[_NEXT[value]] for value in VALUES] for edge in second]
            scenarios = [*found, *second, *third]
            rng.shuffle(scenarios)
            return scenarios


def _with_generators(scenarios: list[list[int]], rng: random.Random) -> list[Options]:
    """Return the questions of all scenarios in turn, with no order of their options yet."""
    dealt = [[_questions(edges, heads) for heads in TOURNAMENTS] for edges in scenarios]
    mixtures = [[Counter(_mixtures(questions)) for questions in row] for row in dealt]
    chosen = [rng.randrange(len(TOURNAMENTS)) for _ in scenarios]
    excess: dict[tuple[Option, Option], float] = {
        ((a, g), (b, h)): -4 / 3 if g == h else -8 / 3
        for a, b in PAIRS
        for g in (0, 1)
        for h in (0, 1)
    }
    for row, number in zip(mixtures, chosen, strict=True):
        for cell, n in row[number].items():
            excess[cell] += n

    def turn_edges() -> Move[tuple[Option, Option]]:
        scenario, number = rng.randrange(LENGTH), rng.randrange(len(TOURNAMENTS))
        changes = mixtures[scenario][number].copy()
        changes.subtract(mixtures[scenario][chosen[scenario]])

        def accept() -> None:
            chosen[scenario] = number

        return changes.items(), accept

    anneal(excess, turn_edges, rng, _GENERATORS)
    return [options for row, number in zip(dealt, chosen, strict=True) for options in row[number]]


def _questions(edges: list[int], heads: tuple[int, ...]) -> list[Options]:
    """Return the five questions of a scenario from its values' edges and their directions."""
    return [
        [(v, int(heads[edges[v]] == question)) for v in VALUES if question in EDGES[edges[v]]]
        for question in QUESTIONS
    ]


def _mixtures(questions: list[Options]) -> Iterable[tuple[Option, Option]]:
    return (pair for options in questions for pair in itertools.combinations(options, 2))


def _put_in_order(questions: list[Options], rng: random.Random) -> None:
    """Order the options of each question."""
    while True:
        excess: dict[tuple[int, ...], float] = {
            (value, generator, letter): -3
            for value in VALUES
            for generator in (0, 1)
            for letter in range(4)
        }
        excess |= dict.fromkeys(itertools.permutations(VALUES, 2), -4)
        for options in questions:
            rng.shuffle(options)
            for letter, option in enumerate(options):
                excess[*option, letter] += 1
            for (a, _), (b, _) in itertools.combinations(options, 2):
                excess[a, b] += 1

        def swap_two_options() -> Move[tuple[int, ...]]:
            options = rng.choice(questions)
            i, j = sorted(rng.sample(range(4), 2))
            (a, g), (b, h) = options[i], options[j]
            changes: list[tuple[tuple[int, ...], float]] = [
                *(((a, g, i), -1), ((a, g, j), 1), ((b, h, j), -1), ((b, h, i), 1)),
                *(((a, b), -1), ((b, a), 1)),
            ]
            for value, _ in options[i + 1 : j]:
                changes += [((a, value), -1), ((value, a), 1), ((value, b), -1), ((b, value), 1)]

            def accept() -> None:
                options[i], options[j] = options[j], options[i]

            return changes, accept

        if anneal(excess, swap_two_options, rng, _LETTERS):
            return


def _targets(questions: list[Options], rng: random.Random) -> list[int]:
    """Return the letter of each question's target."""
    while True:
        targets = [rng.randrange(4) for _ in questions]
        excess: dict[tuple[int, ...], float] = {(v, g): -3 for v in VALUES for g in (0, 1)}
        excess |= {(letter,): -15 for letter in range(4)}
        for options, target in zip(questions, targets, strict=True):
            excess[options[target]] += 1
            excess[target,] += 1

        def ask_for_another(targets: list[int] = targets) -> Move[tuple[int, ...]]:
            number = rng.randrange(len(questions))
            old, new = targets[number], (targets[number] + rng.randrange(1, 4)) % 4
            options = questions[number]

            def accept() -> None:
                targets[number] = new

            changes = ((options[old], -1), ((old,), -1), (options[new], 1), ((new,), 1))
            return changes, accept

        if anneal(excess, ask_for_another, rng, _TARGETS):
            return targets


def main(
    out: Annotated[Path, typer.Option(help="File to write.", dir_okay=False, writable=True)],
    seed: Annotated[int, typer.Option(help="Another seed finds another cycle.")] = 1,
) -> None:
    """Find a cycle of twelve designs, write it and print how even it is."""
    design = find(seed)
    write_design(out, design, value_ids(), f"python -m pipeline.designs.find_cycle --seed {seed}")
    typer.echo(f"{out}: a cycle of {len(design.cycle)} designs")
    show(design, len(design.cycle))


if __name__ == "__main__":
    run(main)
