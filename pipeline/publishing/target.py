"""What goes when posts are taken back: their ids in every table, and the words of their texts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.artifacts import read_json, write_json
from pipeline.config import Config
from pipeline.errors import BadInputError, StageError
from pipeline.llm import purge
from pipeline.paths import PROMPTS
from pipeline.publishing.words import Runs

JOURNAL = ".take-back.json"
HERE_ONLY = ".taken-back-here.json"
"""Notes what was taken back on this machine and from no Hub yet."""
_SOURCE_TEXTS = ("title", "body", "text", "scenario", "post", "rewritten")
_MADE_TEXTS = ("action", "actions", "options")


@dataclass(frozen=True)
class Target:
    """Everything that is made of some posts.

    Attributes:
        posts: Their ids, with those of copies that deduplication removed in their favour.
        scenarios: Ids.
        questions: Ids.
        actions: Ids.
        slots: Numbers of the slots that will be empty.
        keys: Ledger keys of the calls about them.
        runs: Words by which their texts are found.
    """

    posts: tuple[str, ...]
    scenarios: tuple[str, ...]
    questions: tuple[str, ...]
    actions: tuple[str, ...]
    slots: tuple[int, ...]
    keys: tuple[str, ...]
    runs: Runs

    @property
    def ids(self) -> tuple[str, ...]:
        """All ids, of whatever kind."""
        return (*self.posts, *self.scenarios, *self.questions, *self.actions)

    def joined(self, other: Target) -> Target:
        """Return what goes with either."""

        def both(field: str) -> tuple[Any, ...]:
            return tuple(sorted({*getattr(self, field), *getattr(other, field)}))

        return Target(**{field: both(field) for field in FIELDS}, runs=self.runs.joined(other.runs))


FIELDS = ("posts", "scenarios", "questions", "actions", "slots", "keys")


class Tables:
    """The tables of a workspace, those that are there."""

    def __init__(self, workspace: Path) -> None:
        self._workspace = workspace

    def get(self, name: str) -> pl.DataFrame:
        """Return the table "stage.table", without rows and columns if it is not built."""
        path = self._workspace / Path(*name.split(".")).with_suffix(".parquet")
        return pl.read_parquet(path) if path.is_file() else pl.DataFrame()

    def all(self) -> Iterator[pl.DataFrame]:
        """Yield every table."""
        for path in sorted(self._workspace.glob("*/*.parquet")):
            yield pl.read_parquet(path)


def find_target(config: Config, wanted: Sequence[str]) -> Target:
    """Find what is made of posts, by their ids or by the id of anything made of them.

    Raises:
        BadInputError: An id is unknown to the build.
        StageError: The workspace holds no build.
    """
    tables = Tables(Path(config.build.workspace))
    posts, scenarios = tables.get("scrape.posts"), tables.get("rewrite.scenarios")
    if posts.is_empty():
        raise StageError(
            f"{config.build.workspace}: holds no build; name its configuration (CONFIG=) or run "
            "`make build-dataset` first"
        )
    post_of = dict(scenarios.select("scenario_id", "post_id").rows()) if scenarios.height else {}
    questions, actions = tables.get("compose.questions"), tables.get("generate.actions")
    for table, column in ((questions, "question_id"), (actions, "action_id")):
        if table.height:
            rows = table.select(column, "scenario_id").rows()
            post_of |= {name: post_of[scenario] for name, scenario in rows if scenario in post_of}
    known = set(posts["post_id"])
    found: set[str] = set()
    for name in wanted:
        post = post_of.get(name, name)
        if post not in known:
            raise BadInputError(
                f"{name}: not in {config.build.workspace}; give ids of posts, scenarios, "
                "questions or actions of this build"
            )
        found.add(post)
    found |= _copies(tables.get("dedup.pairs"), found)
    mine = {name for name, post in post_of.items() if post in found}
    slots = tables.get("generate.slots")
    gone = pl.col("scenario_id").is_in(sorted(mine))
    made = {
        "scenarios": _ids(scenarios, "scenario_id", mine),
        "questions": _ids(questions, "question_id", mine),
        "actions": _ids(actions, "action_id", mine),
    }
    ids = (*sorted(found), *made["scenarios"])
    keys, runs = _words(config, tables, (*ids, *made["questions"], *made["actions"]), ids)
    return Target(
        posts=tuple(sorted(found)),
        **made,
        slots=tuple(slots.filter(gone)["slot"].to_list()) if slots.height else (),
        keys=tuple(keys),
        runs=runs,
    )


def _copies(pairs: pl.DataFrame, posts: Iterable[str]) -> set[str]:
    """Return the posts that tell the same story and were removed for it."""
    if pairs.is_empty():
        return set()
    return set(pairs.filter(pl.col("keeper_id").is_in(sorted(posts)))["removed_id"])


def _ids(table: pl.DataFrame, column: str, mine: set[str]) -> tuple[str, ...]:
    if table.is_empty():
        return ()
    return tuple(name for name in table[column].sort() if name in mine)


def _words(
    config: Config, tables: Tables, ids: Sequence[str], items: Sequence[str]
) -> tuple[list[str], Runs]:
    """Return the keys of the calls about the ids, and runs of words that nothing else has."""
    gone = set(ids)
    source: list[str] = []
    made: list[str] = []
    for table in tables.all():
        mine, _ = _split(table, gone)
        source += cells(mine, _SOURCE_TEXTS)
        made += cells(mine, _MADE_TEXTS)
    # Words that stand in other texts too prove nothing.
    words = Runs.of(source).without(_others(tables, gone, _SOURCE_TEXTS)).without(_prompts())
    ledger = Path(config.build.ledger)
    keys = purge.keys_about(ledger, items, lambda text: bool(words.within(text)))
    made += purge.texts(ledger, keys)
    others = Runs.of(made).without(_others(tables, gone, (*_SOURCE_TEXTS, *_MADE_TEXTS)))
    others = others.without(purge.texts(ledger, keys, others=True)).without(_prompts())
    return keys, words.joined(others)


def _split(table: pl.DataFrame, gone: set[str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    columns = [c for c in table.columns if c.endswith("_id") and table[c].dtype == pl.String]
    if not columns:
        return table.head(0), table
    hit = pl.any_horizontal(pl.col(c).is_in(sorted(gone)).fill_null(value=False) for c in columns)
    return table.filter(hit), table.filter(~hit)


def _others(tables: Tables, gone: set[str], columns: Sequence[str]) -> Iterator[str]:
    for table in tables.all():
        yield from cells(_split(table, gone)[1], columns)


def _prompts() -> Iterator[str]:
    for path in sorted(PROMPTS.iterdir()):
        if path.is_file():
            yield path.read_text(encoding="utf-8")


def cells(table: pl.DataFrame, columns: Sequence[str] | None = None) -> Iterator[str]:
    """Yield the texts in some columns, or in all."""
    for name in table.columns if columns is None else columns:
        if name in table.columns:
            yield from _texts(table[name].to_list())


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)


def save(workspace: Path, target: Target, more: dict[str, Any], name: str = JOURNAL) -> None:
    """Write down what is being taken back, without its text, so that an interrupted run goes on."""
    fresh = workspace / f"{name}.new"
    fields = {field: list(getattr(target, field)) for field in FIELDS}
    write_json({**fields, "runs": target.runs.to_json(), "more": more}, fresh)
    fresh.replace(workspace / name)


def load(workspace: Path, name: str = JOURNAL) -> tuple[Target, dict[str, Any]] | None:
    """Return what an interrupted run wrote down, or None.

    Raises:
        BadInputError: The file was damaged.
    """
    path = workspace / name
    if not path.is_file():
        return None
    try:
        data = read_json(path)
        more, runs = data.pop("more"), Runs.from_json(data.pop("runs"))
        return Target(**{field: tuple(data[field]) for field in FIELDS}, runs=runs), more
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BadInputError(f"{path}: damaged; remove it and give the ids again") from None
