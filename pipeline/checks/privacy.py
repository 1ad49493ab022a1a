"""That nothing in a release points to a person: contact data, copied words, what was taken back.

Everything with a form (e-mail addresses, telephone numbers, links, user names, accounts, street
addresses) is searched for in every line of every text column. Names and places need the slow
finder: see `checks/names.py`. What was copied can only be seen beside the posts, which lie in the
build's workspace and never in a release.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from pipeline import patterns, tombstones
from pipeline.artifacts import read_json
from pipeline.checks import names, texts
from pipeline.checks.texts import Column
from pipeline.copied import shared_run, told_title, words_of
from pipeline.errors import StageError
from pipeline.facts import CONFIG, data_files, setting
from pipeline.tombstones import Tombstone

_REMEDY = "remove it where it comes from and build the release again"
_ENDPOINTS = frozenset({"endpoint", "base_url"})
"""Columns that hold addresses of services, not of people."""
_NEVER = frozenset(
    {"title", "body", "selftext", "url", "permalink", "author", "author_hash", "author_fullname"}
    | {"username", "source_file", "source_line"}
)
_NOT_REWRITTEN = frozenset({"post_id", "body_sha256"})


@dataclass(frozen=True)
class Place:
    """What a machine knows beyond the folder; nothing of it is needed.

    Attributes:
        workspace: Folder of the build's artifacts, with the posts.
        tombstones: File of posts that must not be used.
        names: Let the slow finder read a sample for names and places.
    """

    workspace: Path | None = None
    tombstones: Path | None = None
    names: bool = False


NOWHERE = Place()


@dataclass(frozen=True)
class Sources:
    """The posts behind a release.

    Attributes:
        post_of: Post id of each scenario.
        text_of: Title, blank line, text of each post.
        hash_of: Of each post's body.
    """

    post_of: Mapping[str, str]
    text_of: Mapping[str, str]
    hash_of: Mapping[str, str]


def check_privacy(
    dist: Path, place: Place = NOWHERE, tell: Callable[[str], None] = lambda _: None
) -> None:
    """Check that no text of a release points to a person, and that nothing is taken back.

    Args:
        dist: The release folder.
        place: What this machine knows beyond the folder.
        tell: Takes a line on each check that was made, or could not be.

    Raises:
        StageError: Something was found; the line names file, column and row, and what kind it is.
    """
    release = read_json(dist / CONFIG)["release"]
    rewritten = release["text"] == "rewritten"
    _check_columns(dist, rewritten=rewritten)
    columns = list(texts.columns(dist))
    lines = _check_contacts(columns, release["canary"])
    tell(f"personal data with a form: none in {lines:,} different lines of {len(columns)} columns")
    sources = _sources(dist, place, tell)
    if rewritten and sources is not None:
        _check_copied(dist, sources, tell)
        _check_words(
            dist,
            columns,
            dict.fromkeys(sources.text_of, "the id of a post, which leads to its author"),
        )
        tell(f"ids of posts: none of {len(sources.text_of):,} in any file")
    elif not rewritten:
        tell(f'copied words: not looked for, the text is "{release["text"]}"')
    _check_taken_back(dist, columns, place, sources, tell)
    if place.names:
        names.check_names(dist, _rejects_names(dist), tell)


def _check_columns(dist: Path, *, rewritten: bool) -> None:
    never = _NEVER | (_NOT_REWRITTEN if rewritten else frozenset())
    for path in texts.tables(dist):
        for name in pl.read_parquet_schema(path):
            if name in never:
                raise StageError(
                    f"{path}: has a column '{name}', which leads to authors; {_REMEDY}"
                )


def _check_contacts(columns: Iterable[Column], mark: str) -> int:
    """Search all lines for everything with a form; return how many lines there were."""
    count = 0
    for column in columns:
        count += len(column.lines)
        allowed = {"url"} if column.name in _ENDPOINTS else set()
        for line in column.lines.filter(column.lines.str.contains(patterns.HINT)).to_list():
            text = line.replace(mark, "")
            for start, end, kind in patterns.found(text):
                if kind not in allowed:
                    raise StageError(
                        f"{column.path}: column {column.name}, {column.row_of(line)}: holds "
                        f"personal data, {kind} {_masked(text[start:end])}; {_REMEDY}"
                    )
    return count


def _masked(found: str) -> str:
    """Return a find so that a person can look it up, and a log does not spread it."""
    shown = found[:2]
    return f"'{shown}…' of {len(found)} characters"


def _sources(dist: Path, place: Place, tell: Callable[[str], None]) -> Sources | None:
    """Return the posts behind the release, if the workspace has them."""
    where = "without a workspace" if place.workspace is None else f"{place.workspace}"
    cannot = "copied words, titles and ids of posts: could not be looked for"
    if place.workspace is None:
        tell(f"{cannot} {where}: a release does not hold its posts")
        return None
    paths = [place.workspace / n for n in ("rewrite/scenarios.parquet", "vote/pool.parquet")]
    if not all(path.is_file() for path in paths):
        tell(f"{cannot}: {where} holds no posts; name the build's configuration (CONFIG=)")
        return None
    scenarios, pool = (pl.read_parquet(path) for path in paths)
    sources = Sources(
        dict(scenarios.select("scenario_id", "post_id").rows()),
        dict(pool.select("post_id", "text").rows()),
        dict(pool.select("post_id", "body_sha256").rows()),
    )
    mine = set(_read(dist, "scenarios")["scenario_id"])
    if not mine <= sources.post_of.keys():
        lacking = len(mine - sources.post_of.keys())
        tell(
            f"{cannot}: {where} does not know {lacking:,} of its {len(mine):,} scenarios; name the "
            "build's own configuration (CONFIG=)"
        )
        return None
    return sources


def _check_copied(dist: Path, sources: Sources, tell: Callable[[str], None]) -> None:
    """Search each scenario and its actions for runs of words and the title of its post."""
    length = _setting(dist, "rewrite", "rewrite.shared_run")
    told = {
        ("scenarios", "scenario_id", "scenario"): _read(dist, "scenarios"),
        ("actions", "action_id", "action"): _read(dist, "actions"),
    }
    posts = {
        scenario: words_of(sources.text_of.get(post, ""))
        for scenario, post in sources.post_of.items()
    }
    for (config, key, column), table in told.items():
        rows = zip(table[key], table["scenario_id"], table[column], strict=True)
        for name, scenario, text in rows:
            words = words_of(text)
            where = f"{dist}: {config} {name}, column {column}"
            if run := shared_run(words, posts[scenario], length):
                raise StageError(
                    f"{where}: {length} words in a row are its post's: {_first(run)}; {_REMEDY}"
                )
            if title := told_title(words, sources.text_of.get(sources.post_of[scenario], "")):
                raise StageError(f"{where}: holds its post's title: {_first(title)}; {_REMEDY}")
    read = " and ".join(f"{table.height:,} {config}" for (config, *_), table in told.items())
    tell(f"copied words: no run of {length} words and no title of its post in {read}")


def _first(words: str) -> str:
    return f'"{" ".join(words.split()[:3])} …"'


def _check_taken_back(
    dist: Path,
    columns: Iterable[Column],
    place: Place,
    sources: Sources | None,
    tell: Callable[[str], None],
) -> None:
    if place.tombstones is None:
        return
    stones = tombstones.load(place.tombstones)
    if not stones:
        tell(f"taken back: {place.tombstones} names no post")
        return
    gone = {name: f"what was taken back (post {stone.post_id}); run `make take-back`"
            for stone in stones.values() for name in _names_of(stone, sources)}  # fmt: skip
    _check_words(dist, columns, gone)
    tell(f"taken back: nothing of {len(stones):,} posts in any file")


def _names_of(stone: Tombstone, sources: Sources | None) -> Iterable[str]:
    """Yield every name under which a release may know a post: ids, and the hash of its body."""
    yield stone.post_id
    yield from filter(None, (stone.scenario_id, stone.body_sha256))
    if sources is not None:
        yield from (s for s, post in sources.post_of.items() if post == stone.post_id)
        if stone.post_id in sources.hash_of:
            yield sources.hash_of[stone.post_id]


def _check_words(dist: Path, columns: Iterable[Column], gone: Mapping[str, str]) -> None:
    """Search every table and every text file for names, as whole words.

    An id without a digit may be somebody's word: it counts where it is all that a cell holds.
    """
    sure = {name for name in gone if any(c.isdigit() for c in name)}
    for column in columns:
        found = (texts.words(column.lines) & sure) | (set(column.lines) & gone.keys())
        if found:
            name = min(found)
            raise StageError(
                f"{column.path}: column {column.name}, {column.row_of(name)}: holds {name}, "
                f"{gone[name]}"
            )
    for path, text in texts.text_files(dist):
        for name in texts.names_in(text, sure):
            raise StageError(f"{path}: holds {name}, {gone[name]}")


def _read(dist: Path, config: str) -> pl.DataFrame:
    parts = [dist / file.path for file in data_files(dist) if file.config == config]
    return pl.concat([pl.read_parquet(path) for path in parts])


def _setting(dist: Path, stage: str, dotted: str) -> Any:
    path = dist / "provenance" / "manifests" / f"{stage}.json"
    try:
        return setting(read_json(path), dotted)
    except (OSError, ValueError, LookupError, TypeError):
        raise StageError(f"{path}: does not say {dotted}; build the release again") from None


def _rejects_names(dist: Path) -> bool:
    return "personal_data" in _setting(dist, "generate", "validate.reject")
