"""Tables of the annotation that no expert sees, beside schema.ITEMS and schema.REVIEWS."""

from __future__ import annotations

import polars as pl

from pipeline.schema import Schema

KINDS = ("sample", "active", "gold", "attention", "adjudication")
FLAGS = ("personal_data", "harmful", "no_dilemma", "too_alike", "needs_expertise")

SEALED: Schema = {
    "item_id": pl.String(),
    "round": pl.Int64(),
    "kind": pl.String(),
    "scenario_id": pl.String(),
    "domain": pl.String(),
    "action_id": pl.String(),
    "value": pl.String(),  # the claim; the known answer of a gold item or attention check
    "generator": pl.String(),  # "" where no generator wrote it
    "targeted": pl.Boolean(),  # what the item is for; false for actions that only fill it up
    "probability": pl.Float64(),  # of being drawn; null unless the kind is "sample"
}
"""The claims as they were when the items were drawn: repairs do not change them."""

OPINIONS: Schema = {
    "item_id": pl.String(),  # of kind "adjudication"
    "action_id": pl.String(),
    "first_values": pl.List(pl.String()),  # what earlier experts chose; not in the experts' order
    "second_values": pl.List(pl.String()),
}
"""What an adjudicator is shown of earlier opinions."""

ACCURACY: Schema = {
    "kind": pl.String(),  # "sample", "active"
    "round": pl.Int64(),
    "group": pl.String(),  # "all", "value", "domain", "generator", "annotator"
    "level": pl.String(),  # the value's id and so on; "" for "all"
    "reviews": pl.Int64(),
    "actions": pl.Int64(),
    "scenarios": pl.Int64(),
    "correct": pl.Int64(),  # reviews whose first choice is the claim
    "accuracy": pl.Float64(),
    "low": pl.Float64(),
    "high": pl.Float64(),
    "interval": pl.String(),  # one of intervals.METHODS
    "wilson_low": pl.Float64(),
    "wilson_high": pl.Float64(),
    "design_effect": pl.Float64(),  # null where it is not defined
    "either": pl.Float64(),  # first or second choice is the claim
    "either_low": pl.Float64(),
    "either_high": pl.Float64(),
}

CONFUSION: Schema = {
    "kind": pl.String(),
    "round": pl.Int64(),
    "claim": pl.String(),
    "first_value": pl.String(),
    "reviews": pl.Int64(),
}

ALPHA: Schema = {
    "kind": pl.String(),
    "round": pl.Int64(),
    "units": pl.Int64(),  # actions with two reviews or more
    "items": pl.Int64(),  # items that hold these
    "alpha": pl.Float64(),  # null where it is not defined
    "low": pl.Float64(),
    "high": pl.Float64(),
}

KAPPA: Schema = {
    "kind": pl.String(),
    "round": pl.Int64(),
    "one": pl.String(),
    "other": pl.String(),
    "actions": pl.Int64(),  # reviewed by both
    "agreement": pl.Float64(),
    "kappa": pl.Float64(),  # null where it is not defined
}

EXPERTS: Schema = {
    "annotator": pl.String(),
    "counted": pl.Boolean(),
    "expected": pl.Int64(),  # reviews
    "submitted": pl.Int64(),
    "skipped": pl.Int64(),
    "gold": pl.Int64(),  # reviews of gold actions
    "gold_correct": pl.Int64(),
    "gold_accuracy": pl.Float64(),
    "gold_low": pl.Float64(),  # Wilson
    "gold_high": pl.Float64(),
    "attention": pl.Int64(),  # checks
    "attention_passed": pl.Int64(),
    "median_seconds": pl.Float64(),  # an item
    "hours": pl.Float64(),  # pauses cut
}

NATURALNESS: Schema = {
    "kind": pl.String(),
    "round": pl.Int64(),
    "group": pl.String(),  # "all", "value", "generator"
    "level": pl.String(),
    "reviews": pl.Int64(),
    "mean": pl.Float64(),
    "counts": pl.List(pl.Int64()),  # of 1 to 5
}

FLAGGED: Schema = {
    "kind": pl.String(),
    "round": pl.Int64(),
    "flag": pl.String(),
    "items": pl.Int64(),  # flagged by at least one expert
    "of_items": pl.Int64(),
    "by_two": pl.Int64(),  # flagged by at least two
}

DECISIONS: Schema = {
    "action_id": pl.String(),
    "scenario_id": pl.String(),
    "value": pl.String(),
    "decision": pl.String(),  # "accept", "regenerate" or "drop"
    "reasons": pl.List(pl.String()),
    "reviews": pl.Int64(),
    "for_claim": pl.Int64(),
    "settled": pl.String(),  # the adjudicator's first choice; "" if nobody was asked
    "naturalness": pl.Float64(),
    "notes": pl.String(),  # of its items; untrusted
}
