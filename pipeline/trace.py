"""The way back from a question, an option or a scenario to the post and the calls behind it."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from pipeline.build import load_table
from pipeline.config import Config
from pipeline.errors import BadInputError
from pipeline.llm.ledger import Ledger


def trace(config: Config, item: str) -> list[tuple[str, str]]:
    """Return (what, text) lines from `item` back to its source.

    Args:
        config: The build.
        item: Id of a question (q_...), an option (a_...) or a scenario (s_...).

    Raises:
        BadInputError: The build holds no such id.
    """
    workspace = Path(config.build.workspace)
    actions = load_table(workspace, "generate.actions")
    lines: list[tuple[str, str]] = []
    wanted, scenario = actions.clear(), item
    if item.startswith("q_"):
        found = load_table(workspace, "compose.questions").filter(question_id=item)
        if found.height:
            row = found.row(0, named=True)
            lines.append(
                ("question", f"{item}, number {row['question_index']} of slot {row['slot']}")
            )
            wanted = actions.filter(pl.col("action_id").is_in(row["option_ids"]))
            scenario = row["scenario_id"]
    elif item.startswith("a_"):
        wanted = actions.filter(action_id=item)
        scenario = wanted["scenario_id"][0] if wanted.height else ""
    candidates = load_table(workspace, "rewrite.scenarios").filter(scenario_id=scenario)
    if not candidates.height:
        raise BadInputError(
            f"{item}: no such question, option or scenario in {workspace}; "
            "ids start with q_, a_ or s_"
        )
    with Ledger(Path(config.build.ledger)) as ledger:
        for row in wanted.sort("action_id").iter_rows(named=True):
            lines.append(("option", f"{row['action_id']} {row['action']}"))
            lines.append(("  written as", f"{row['value']} by {row['generator']}"))
            reply = ledger.find(row["ledger_key"])
            told = (
                f"{reply.model_returned}, {reply.completion_tokens} tokens"
                if reply
                else "not in ledger"
            )
            lines.append(("  call", f"{row['ledger_key']} ({told})"))
    lines += _scenario_lines(workspace, candidates.row(0, named=True))
    return lines


def _scenario_lines(workspace: Path, row: dict[str, object]) -> list[tuple[str, str]]:
    post_id = row["post_id"]
    lines = [
        ("scenario", f"{row['scenario_id']} ({row['domain']}, rank {row['rank']} of its draw)"),
    ]
    slots = load_table(workspace, "generate.slots").filter(scenario_id=row["scenario_id"])
    for slot in slots.iter_rows(named=True):
        taken = f", after {', '.join(slot['replaced'])}" if slot["replaced"] else ""
        lines.append(("slot", f"{slot['slot']}{taken}"))
    if not slots.height:
        lines.append(("slot", "none: reserve, or replaced"))
    pairs = load_table(workspace, "dedup.pairs").filter(keeper_id=post_id)
    for pair in pairs.iter_rows(named=True):
        lines.append(
            ("duplicate", f"{pair['removed_id']} ({pair['method']}, {pair['similarity']:.4f})")
        )
    post = load_table(workspace, "screen.posts").filter(post_id=post_id).row(0, named=True)
    lines.append(("masked", ", ".join(post["masked"]) or "nothing"))
    lines.append(("post", f"{post_id} in r/{post['subreddit']}, {post['created_utc']:%Y-%m-%d}"))
    lines.append(("source", f"{post['source_file']}, line {post['source_line']}"))
    return lines
