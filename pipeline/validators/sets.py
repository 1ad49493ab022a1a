"""Validators of a scenario's set of actions: distinct, on the scenario, one a value."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache

import numpy as np
import numpy.typing as npt

from pipeline.artifacts import unit_interval
from pipeline.config_actions import ValidateConfig
from pipeline.embedding import ERROR, Embedder
from pipeline.paths import SAMPLE_POSTS
from pipeline.text import clean
from pipeline.validators.rows import ActionRow, Violation, words
from pipeline.values import value_ids

_LEAST_STRANGER = 200  # characters


class Vectors:
    """Vectors of a batch of texts.

    Quick ones say what is worth a closer look, exact ones decide: a verdict must not depend on what
    else is in the batch, nor on the machine.

    Args:
        texts: All texts that will be compared.
        embedder: Gives the vectors.
    """

    def __init__(self, texts: Iterable[str], embedder: Embedder) -> None:
        unique = sorted(set(texts))
        self._place = {text: i for i, text in enumerate(unique)}
        self._quick, self._embedder = embedder.quick(unique), embedder
        self._exact: dict[str, npt.NDArray[np.float32]] = {}

    def rough(self, ones: Sequence[str], others: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return all cosines, each off by at most embedding.ERROR; shape (ones, others)."""
        rows, columns = ([self._place[text] for text in some] for some in (ones, others))
        return np.asarray(self._quick[rows] @ self._quick[columns].T, dtype=np.float32)

    def cosine(self, one: str, other: str) -> float:
        """Return the cosine of two texts."""
        for text in (one, other):
            if text not in self._exact:
                self._exact[text] = self._embedder.exact([text])[0]
        return float(self._exact[one] @ self._exact[other])


@cache
def strangers() -> tuple[str, ...]:
    """Return invented posts that scenarios are held against: the sound ones of the sample."""
    lines = SAMPLE_POSTS.read_text(encoding="utf-8").splitlines()
    posts = [json.loads(line) for line in lines]
    sound = (p for p in posts if not p["_defect"] and len(p["selftext"]) >= _LEAST_STRANGER)
    return tuple(sorted({clean(f"{post['title']}\n\n{post['selftext']}") for post in sound}))


def stranger_of(row: ActionRow, others: Sequence[str]) -> str:
    """Return the text that a row's scenario is held against, drawn by a hash of its id."""
    fit = [text for text in others if text != row.scenario]
    return fit[int(unit_interval("on_scenario", row.scenario_id) * len(fit))] if fit else ""


def repeated(rows: Sequence[ActionRow]) -> list[Violation | None]:
    """Name the actions that have the words of another one of their scenario.

    Which of two is named, and which may be alike: as in `distinct`.
    """
    found: list[Violation | None] = [None] * len(rows)
    for places in _by_scenario(rows).values():
        same: dict[str, list[int]] = defaultdict(list)
        for i in _in_order(rows, places):
            alike = same[_bare(rows[i].action)]
            for j in alike:
                if _offered_together(rows[i], rows[j]):
                    found[i] = Violation("repeated", f"the same text as for {rows[j].value}")
                    break
            alike.append(i)
    return found


def distinct(
    rows: Sequence[ActionRow], thresholds: ValidateConfig, vectors: Vectors
) -> list[Violation | None]:
    """Name the actions that say in other words what another one of their scenario says.

    Of two, the one later on the circle is named, so that asking for that one anew is enough. What
    two generators write for one value may be alike: no question offers both.
    """
    found: list[Violation | None] = [None] * len(rows)
    for places in _by_scenario(rows).values():
        texts = [rows[i].action for i in places]
        rough = dict(zip(places, vectors.rough(texts, texts), strict=True))
        column = {i: k for k, i in enumerate(places)}
        kept: list[int] = []
        for i in _in_order(rows, places):
            near = [j for j in kept if _offered_together(rows[i], rows[j])]
            near = [j for j in near if rough[i][column[j]] >= thresholds.distinct - ERROR]
            if any(_bare(rows[i].action) == _bare(rows[j].action) for j in near):
                continue  # `repeated` says so
            for j in near:
                cosine = vectors.cosine(rows[i].action, rows[j].action)
                if cosine >= thresholds.distinct:
                    detail = f"cosine {cosine:.2f} to the text for {rows[j].value}"
                    found[i] = Violation("distinct", detail)
                    break
            else:
                kept.append(i)
    return found


def on_scenario(
    rows: Sequence[ActionRow],
    thresholds: ValidateConfig,
    vectors: Vectors,
    others: Sequence[str],
) -> list[Violation | None]:
    """Name the actions that are far from their scenario, and no nearer to it than to another text.

    Rows without the text of their scenario pass.
    """
    found: list[Violation | None] = []
    for row in rows:
        stranger = stranger_of(row, others)
        if not (row.scenario.strip() and stranger):
            found.append(None)
            continue
        near = vectors.rough([row.action], [row.scenario, stranger])[0]
        if near[0] >= thresholds.on_scenario + ERROR or near[0] > near[1] + 2 * ERROR:
            found.append(None)
            continue
        own, far = vectors.cosine(row.action, row.scenario), vectors.cosine(row.action, stranger)
        off = own < thresholds.on_scenario and own <= far
        detail = f"cosine {own:.2f} to its scenario, {far:.2f} to another one"
        found.append(Violation("on_scenario", detail) if off else None)
    return found


def ten_values(rows: Sequence[ActionRow]) -> list[Violation | None]:
    """Name the rows of sets that do not hold each of the ten values once."""
    found: list[Violation | None] = [None] * len(rows)
    for places in _sets(rows).values():
        counts = Counter(rows[i].value for i in places)
        wrong = [
            *(f"{value} is missing" for value in value_ids() if value not in counts),
            *(f"{value} is there {n} times" for value, n in sorted(counts.items()) if n > 1),
            *(f"{value} is no value" for value in sorted(counts.keys() - set(value_ids()))),
        ]
        for i in places if wrong else ():
            found[i] = Violation("ten_values", ", ".join(wrong))
    return found


def _sets(rows: Sequence[ActionRow]) -> dict[tuple[str, str], list[int]]:
    sets: dict[tuple[str, str], list[int]] = defaultdict(list)
    for i, row in enumerate(rows):
        sets[row.group].append(i)
    return sets


def _by_scenario(rows: Sequence[ActionRow]) -> dict[str, list[int]]:
    scenarios: dict[str, list[int]] = defaultdict(list)
    for i, row in enumerate(rows):
        scenarios[row.scenario_id].append(i)
    return scenarios


def _in_order(rows: Sequence[ActionRow], places: Sequence[int]) -> list[int]:
    order = {value: place for place, value in enumerate(value_ids())}
    return sorted(places, key=lambda i: (order.get(rows[i].value, -1), _key(rows[i])))


def _offered_together(row: ActionRow, other: ActionRow) -> bool:
    return row.value != other.value or row.generator == other.generator


def _key(row: ActionRow) -> tuple[str, str, str, str]:
    return row.generator, _bare(row.action), row.action, row.scenario


@lru_cache(maxsize=4096)
def _bare(text: str) -> str:
    return " ".join(words(text.lower()))
