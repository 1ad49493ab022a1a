"""Stage vote: two models say whether a post is a decision worth asking about; a third breaks ties.

As published (facts of arXiv 2601.07972): both at temperature 0, a third where they differ.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from pipeline import asking, funnel, schema
from pipeline.asking import Question
from pipeline.config import Config
from pipeline.llm.call import Caller
from pipeline.llm.request import Request
from pipeline.prompts import load_prompt
from pipeline.stage import Context, Result

Row = Mapping[str, Any]


def run(context: Context) -> Result:
    """Ask the voters about every post of the pool; drop what the majority says no to.

    Raises:
        PipelineError: As Caller.ask.
    """
    config = context.config
    pool = context.tables["select.pool"]
    votes: list[Row] = []
    notes: dict[str, object] = {}
    if config.vote.voters:
        rows = pool.sort("post_id").to_dicts()
        with Caller(
            Path(config.build.ledger), config.models, config.budget, replay_only=context.replay_only
        ) as caller:
            votes = _vote(config, caller, rows)
            notes = caller.notes()
    table = schema.frame(votes, schema.VOTES).sort("post_id", "breaks_tie", "model")
    dropped = _dropped(pool, table) if config.vote.decides and votes else []
    gone = schema.frame(dropped, schema.DROPPED).sort("id")
    kept = pool.filter(~pl.col("post_id").is_in(gone["id"].implode()))
    if votes:
        notes["lines"] = report(table, config.vote.voters)
    return Result(
        tables={"pool": kept, "votes": table},
        dropped=gone,
        funnel=funnel.count("vote", "post", pool.height, kept, gone),
        notes=notes,
    )


def _vote(config: Config, caller: Caller, rows: Sequence[Row]) -> list[Row]:
    found = _ask(config, caller, [(row, name) for row in rows for name in config.vote.voters])
    said: dict[str, set[str]] = {}
    for vote in found:
        said.setdefault(vote["post_id"], set()).add(vote["vote"])
    ties = [(row, config.vote.tie_breaker) for row in rows if len(said[row["post_id"]]) > 1]
    return found + _ask(config, caller, ties, breaks_tie=True)


def _ask(
    config: Config, caller: Caller, pairs: Sequence[tuple[Row, str]], *, breaks_tie: bool = False
) -> list[Row]:
    answers = asking.ask(
        caller,
        [question(config, name, row["post_id"], row["text"]) for row, name in pairs],
        lambda _, data: "",
        attempts=config.vote.attempts,
        seed=config.build.seed,
        label="tie-breaking votes" if breaks_tie else "votes",
    )
    votes: list[Row] = []
    for (row, name), answer in zip(pairs, answers, strict=True):
        # A model that gives no usable vote has not said yes.
        verdict = answer.data["verdict"] if answer.data else "no: no_usable_vote"
        vote, _, reason = verdict.partition(": ")
        votes.append(
            {
                "post_id": row["post_id"],
                "model": name,
                "vote": vote,
                "reason": reason,
                "breaks_tie": breaks_tie,
                "ledger_key": answer.key,
            }
        )
    return votes


def question(config: Config, model: str, post_id: str, text: str) -> Question:
    """Return what a voter is asked about a post."""
    prompt = load_prompt(config.vote.prompt)
    # One field, so that a vote cannot contradict its reason.
    fields = {"verdict": {"type": "string", "enum": prompt.output["verdict"]}}
    form = {
        "type": "object",
        "properties": fields,
        "required": list(fields),
        "additionalProperties": False,
    }
    return Question(model, post_id, prompt.render(post=text), json.dumps(form))


def first_request(config: Config, caller: Caller, model: str, post_id: str, text: str) -> Request:
    """Return the request that asks a voter about a post for the first time."""
    found = question(config, model, post_id, text)
    return asking.request_of(caller, found, 0, "", config.build.seed)


def _dropped(pool: pl.DataFrame, votes: pl.DataFrame) -> list[dict[str, str | None]]:
    """Return a row for each post that did not get two votes for yes."""
    counted = (
        votes.sort("breaks_tie", "model")
        .group_by("post_id", maintain_order=True)
        .agg(
            yes=(pl.col("vote") == "yes").sum(),
            against=pl.col("reason").filter(pl.col("vote") == "no").first(),
            detail=pl.format("{} {}: {}", "model", "vote", "reason").sort().str.join("; "),
        )
    )
    rows = pool.join(counted, on="post_id").filter(pl.col("yes") < 2).sort("post_id")
    return [
        schema.dropped_row(row["post_id"], row["domain"], row["against"], row["detail"])
        for row in rows.iter_rows(named=True)
    ]


def report(votes: pl.DataFrame, voters: tuple[str, ...]) -> list[str]:
    """Return lines on the votes: shares of yes, agreement, Cohen's kappa, ties broken."""
    from sklearn.metrics import cohen_kappa_score

    first = votes.filter(~pl.col("breaks_tie"))
    wide = first.pivot("model", index="post_id", values="vote").sort("post_id")
    one, two = (wide[name].to_list() for name in voters)
    agreed = sum(a == b for a, b in zip(one, two, strict=True))
    both = len(set(one + two)) > 1
    # Kappa is not defined where both always say the same one word.
    kappa = f"{cohen_kappa_score(one, two):.3f}" if both else "not defined"
    lines = [
        f"{name}: yes {first.filter(model=name, vote='yes').height:,} of {wide.height:,}, "
        f"no usable vote {first.filter(model=name, reason='no_usable_vote').height:,}"
        for name in voters
    ]
    ties = votes.filter(pl.col("breaks_tie"))
    return [
        *lines,
        f"agreement {agreed:,} of {wide.height:,}, Cohen's kappa {kappa}",
        f"ties {ties.height:,}, broken for yes {ties.filter(vote='yes').height:,}",
    ]
