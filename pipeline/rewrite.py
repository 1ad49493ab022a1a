"""Stage rewrite: from a post to a scenario that is fit to be shown and does not lead to its author.

With `release.text = "rewritten"` a model that is neither generator retells the post, and the
retelling is checked by code. It is told in the first person: the options are first-person actions,
and the adoption task alone is to put a respondent into a role. Otherwise the post itself is kept,
names and places masked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from pipeline import asking, funnel, personal, schema
from pipeline.artifacts import content_id, unit_interval
from pipeline.asking import Question
from pipeline.config import Config, RewriteConfig
from pipeline.copied import shared_run, told_title, words_of
from pipeline.duplicates import among
from pipeline.duplicates.earlier import scenarios_of
from pipeline.embedding import embedder_of
from pipeline.llm.call import Caller
from pipeline.llm.request import Request
from pipeline.prompts import load_prompt
from pipeline.stage import Context, Result
from pipeline.text import clean

Row = Mapping[str, Any]
_ADVICE = re.compile(
    r"\b(?:you (?:should|could|might want to|may want to|need to|ought to)|i(?:'d| would) "
    r"(?:suggest|recommend|advise)|my advice (?:is|would be)|(?:it is|it's) (?:best|important|"
    r"advisable|essential) to|consider (?:talking|seeking|speaking|asking|taking|looking)|"
    r"remember that|the best (?:course|thing) (?:is|would be))\b",
    re.IGNORECASE,
)
_FORM = json.dumps(
    {
        "type": "object",
        "properties": {"situation": {"type": "string"}},
        "required": ["situation"],
        "additionalProperties": False,
    }
)


def run(context: Context) -> Result:
    """Turn what is left of the pool into scenarios, as many as the quota and reserve need.

    Raises:
        PipelineError: As Caller.ask.
    """
    config = context.config
    quota = config.select.scenarios // len(config.domains)
    pool = context.tables["vote.pool"].sort("domain", "rank")
    place = pl.int_range(pl.len()).over("domain", order_by="rank")
    needed = pool.filter(place < quota + config.rewrite.reserve)
    spare = pool.filter(place >= quota + config.rewrite.reserve)
    rows = needed.sort("post_id").to_dicts()
    notes: dict[str, object] = {}
    if config.release.text == "rewritten":
        with Caller(
            Path(config.build.ledger), config.models, config.budget, replay_only=context.replay_only
        ) as caller:
            texts, failed, keys = _retell(config, caller, rows)
            notes = caller.notes()
    else:
        texts, failed, keys = {row["post_id"]: masked(row["text"]) for row in rows}, {}, {}
    kept = schema.frame((_scenario(row, texts) for row in rows if row["post_id"] in texts),
                        schema.CANDIDATES)  # fmt: skip
    twice = ~kept["scenario_id"].is_first_distinct()
    alike = _alike(config, kept.filter(~twice))
    gone = [
        schema.dropped_row(row["post_id"], row["domain"], *_reason(failed[row["post_id"]]))
        for row in rows
        if row["post_id"] in failed
    ]
    gone += [
        schema.dropped_row(row["post_id"], row["domain"], "same_scenario", row["scenario_id"])
        for row in kept.filter(twice).iter_rows(named=True)
    ]
    gone += alike
    gone += [
        schema.dropped_row(row["post_id"], row["domain"], "not_needed", "")
        for row in spare.iter_rows(named=True)
    ]
    dropped = schema.frame(gone, schema.DROPPED).sort("id")
    left_out = [row["id"] for row in alike]
    scenarios = kept.filter(~twice & ~pl.col("post_id").is_in(left_out)).sort("scenario_id")
    return Result(
        tables={
            "scenarios": scenarios,
            "pairs": _pairs(config, rows, scenarios, keys),
            "retellings": _retellings(scenarios, keys),
        },
        dropped=dropped,
        funnel=funnel.count("rewrite", "post", pool.height, scenarios, dropped),
        notes=notes,
    )


def _alike(config: Config, scenarios: pl.DataFrame) -> list[dict[str, str | None]]:
    """Return rows of schema.DROPPED for retellings that are like another one, or an earlier one.

    Posts that are told in different ways may be told in the same way again. What is published as
    it was posted has been compared by stage dedup.
    """
    if config.release.text != "rewritten":
        return []
    removals = among(
        scenarios.select("scenario_id", "scenario").rows(),
        config.dedup,
        embedder_of(config),
        scenarios_of(config.dedup.earlier),
    )
    found = scenarios.join(removals, left_on="scenario_id", right_on="removed_id")
    return [
        schema.dropped_row(
            row["post_id"],
            row["domain"],
            "like_another_scenario",
            f"{row['keeper_id']} ({row['method']} {row['similarity']})",
        )
        for row in found.iter_rows(named=True)
    ]


def masked(text: str) -> str:
    """Return a post's text as a scenario that is no retelling: generalised, names masked."""
    general = personal.generalise(text)
    (spans,) = personal.find([general])
    return personal.mask(general, spans)


def _retell(
    config: Config, caller: Caller, rows: Sequence[Row]
) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    """Return ({post: retelling}, {post: what was wrong}, {post: ledger key})."""
    posts = {row["post_id"]: row["text"] for row in rows}
    answers = asking.ask(
        caller,
        [question(config, row["post_id"], row["text"]) for row in rows],
        lambda asked, data: problem_of(_tidy(data), posts[asked.item], config.rewrite),
        attempts=config.rewrite.attempts,
        seed=config.build.seed,
        label="retellings",
    )
    pairs = list(zip(posts, answers, strict=True))
    return (
        {post: _tidy(answer.data) for post, answer in pairs if answer.data is not None},
        {post: answer.problem for post, answer in pairs if answer.data is None},
        {post: answer.key for post, answer in pairs},
    )


def question(config: Config, post_id: str, text: str) -> Question:
    """Return what the rewriter is asked about a post."""
    bounds = {"min_words": config.rewrite.min_words, "max_words": config.rewrite.max_words}
    messages = load_prompt(config.rewrite.prompt).render(post=text, **bounds)
    return Question(config.rewrite.model, post_id, messages, _FORM)


def first_request(config: Config, caller: Caller, post_id: str, text: str) -> Request:
    """Return the request that asks the rewriter about a post for the first time."""
    return asking.request_of(caller, question(config, post_id, text), 0, "", config.build.seed)


def problem_of(retelling: str, post: str, limits: RewriteConfig) -> str:
    """Return "code: what is wrong" with a retelling, or "".

    Args:
        retelling: The text that would be published.
        post: The post that it retells.
        limits: Lengths, and how many words in a row count as copied.
    """
    words = words_of(retelling)
    if len(words) < limits.min_words:
        return f"too_short: {len(words)} words, at least {limits.min_words} are needed"
    if len(words) > limits.max_words:
        return f"too_long: {len(words)} words, at most {limits.max_words} are wanted"
    copied = shared_run(words, words_of(post), limits.shared_run)
    if copied:
        return f'copied: "{copied}" stands in the post too; say it in other words'
    if title := told_title(words, post):
        return f'title: "{title}" is the post\'s title; say it in other words'
    if advice := _ADVICE.search(retelling):
        return f'advice: "{advice[0]}" is advice; tell the situation only'
    ((*spans,),) = personal.find([retelling])
    if spans:
        told = retelling[spans[0].start : spans[0].end]
        return f'personal_data: "{told}" ({spans[0].kind}); say what it is instead'
    return ""


def _tidy(data: Mapping[str, Any]) -> str:
    return clean(data["situation"])


def _reason(problem: str) -> tuple[str, str]:
    code, _, detail = problem.partition(": ")
    return f"retelling_{code}", detail


def _scenario(row: Row, texts: Mapping[str, str]) -> dict[str, Any]:
    text = texts[row["post_id"]]
    places = {name: row[name] for name in schema.CANDIDATES if name in row}
    return {**places, "scenario_id": scenario_id(text), "scenario": text}


def scenario_id(text: str) -> str:
    """Return the id of a scenario: a hash of its text, so it does not point to a post's author."""
    return content_id("s", text)


def _retellings(scenarios: pl.DataFrame, keys: Mapping[str, str]) -> pl.DataFrame:
    rows = (
        {"scenario_id": scenario, "post_id": post, "ledger_key": keys[post]}
        for scenario, post in scenarios.select("scenario_id", "post_id").iter_rows()
        if post in keys
    )
    return schema.frame(rows, schema.RETELLINGS)


def _pairs(
    config: Config, rows: Sequence[Row], scenarios: pl.DataFrame, keys: Mapping[str, str]
) -> pl.DataFrame:
    """Draw the pairs that experts look at: do the dilemma, the stakes and the options survive?"""
    drawn = sorted(keys, key=lambda post: unit_interval(config.build.seed, "review", post))
    posts = {row["post_id"]: row["text"] for row in rows}
    by_post = {row["post_id"]: row for row in scenarios.iter_rows(named=True)}
    chosen = [by_post[post] for post in drawn if post in by_post][: config.rewrite.review]
    pairs = (
        {
            "scenario_id": row["scenario_id"],
            "post_id": row["post_id"],
            "post": posts[row["post_id"]],
            "rewritten": row["scenario"],
            "ledger_key": keys[row["post_id"]],
        }
        for row in chosen
    )
    return schema.frame(pairs, schema.PAIRS).sort("scenario_id")
