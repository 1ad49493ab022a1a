"""The two tables of predictions: columns, their types, and the words that cells may hold.

``CHOICES`` has a row for every question put to a respondent with one prompt variant;
``ANSWERS`` one for every questionnaire item in one run with one prompt variant.

Options are told apart by their *dealt index* 0..3, their place in the release's own order, and
by the *letter* 0..3 (A..D) at which they were shown: ``order[letter]`` is the dealt index.
"""

import polars as pl

OUTCOMES = ("ok", "invalid", "refused", "truncated")


TASKS = ("default", "selection", "adoption")


OPTIONS = 4


CHOICES = pl.Schema(
    {
        "respondent": pl.String(),  # model or person, as it is to be named in a report
        "task": pl.String(),  # one of TASKS
        "question_id": pl.String(),
        "scenario_id": pl.String(),  # the cluster of the question
        "domain": pl.String(),
        "variant": pl.Int64(),  # prompt variant, from 0
        "order": pl.List(pl.Int64()),  # dealt index of the option shown at A, B, C, D
        "outcome": pl.String(),  # one of OUTCOMES
        "choice": pl.Int64(),  # dealt index 0..3 of the chosen option; null unless ok
        "letter": pl.Int64(),  # shown position 0..3 of the chosen option; null unless ok
        "target_index": pl.Int64(),  # dealt index of the right option; null in task default
        "option_ids": pl.List(pl.String()),  # this and the next three in dealt order
        "option_values": pl.List(pl.String()),  # one of VALUES each
        "option_generators": pl.List(pl.String()),  # model that wrote each option
        "option_words": pl.List(pl.Int64()),  # words of each option
        "seconds": pl.Float64(),  # time of the call; null where it is not known
        "raw": pl.String(),  # the whole reply; null where it was not kept
    }
)


ANSWERS = pl.Schema(
    {
        "respondent": pl.String(),
        "instrument": pl.String(),  # name of the questionnaire
        "run": pl.Int64(),  # number of the shuffled item order, from 0
        "variant": pl.Int64(),  # prompt variant, from 0
        "item": pl.Int64(),  # number of the item in the key, 1..40
        "outcome": pl.String(),  # one of OUTCOMES
        "score": pl.Int64(),  # 1 (not like me at all) .. 6 (very much like me); null unless ok
    }
)


KEYS = {
    "choice": ("respondent", "task", "question_id", "target_index", "variant"),
    "answer": ("respondent", "instrument", "run", "variant", "item"),
}


NULLABLE = ("choice", "letter", "target_index", "seconds", "raw", "score")


def schema_of(kind: str) -> pl.Schema:
    """The schema of the table ``kind``, "choice" or "answer"."""
    return CHOICES if kind == "choice" else ANSWERS
