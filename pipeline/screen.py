"""Stage screen: rules that a post must pass to be somebody's dilemma, in a form fit to publish.

A post is dropped by the first rule that it fails: state, form, language, then what it asks (those
rules know English only). They are a first sieve: what a rule cannot judge (is this a decision
with several defensible courses?) is for language models and experts.
"""

from __future__ import annotations

from functools import cache

import polars as pl
from lingua import Language, LanguageDetector, LanguageDetectorBuilder

from pipeline import funnel, schema
from pipeline.config import ScreenConfig
from pipeline.stage import Context, Result
from pipeline.text import clean, mask

_LANGUAGE_CHARACTERS = 300
_WORD = r"[\p{L}\p{N}]+(?:['\u2019\-][\p{L}\p{N}]+)*"
_RECURRING = (
    r"(?i)\b(daily|weekly|monthly|weekend|biweekly)\b.{0,40}\b(thread|discussion|questions?|"
    r"megathread|check-?in)\b|\bmega-?thread\b|\bmoderators?\b.{0,30}\bannounce"
)
_UPDATE = (
    r"(?i)^\W*(final |small |quick )?update\b|\[\s*(final )?update\s*\d*\s*\]|\bupdate\s*[:\]]"
)
_INJECTION = (
    r"(?i)\b(ignore|disregard|forget)\b[^.\n]{0,40}\b(previous|prior|above|earlier)\b[^.\n]{0,40}"
    r"\b(instructions?|prompts?|rules|messages?)\b"
    r"|</?\s*(scenario|situation|post|system|assistant|prompt)\s*>"
    r"|(?m)^\s*(system|assistant)\s*:"
    r"|\byou are now\b[^.\n]{0,60}\b(model|assistant|ai|dan|mode)\b"
    r"|\bas an ai (language )?model\b|<\|im_(start|end)\|>|\[/?INST\]"
)
_QUESTION = (
    r"(?i)\?|\b(advice|advise|help me|should i|what would you|how (do|can|should) i|thoughts)\b"
)
_DILEMMA = (
    r"(?i)\b(should|shall|would it be|ought) (i|we|my)\b|\bshould i\b|\b(aita|wibta|aitah|ibta)\b"
    r"|\bam i (being )?(the |an? )?(asshole|a-?hole|jerk|wrong|unreasonable|selfish|overreacting"
    r"|crazy|stupid|bad)\b|\bwhat (would|should|do|can) (you|i|we) (do|choose|pick|say)\b"
    r"|\bhow (do|should|would|can) (i|we|you) (choose|handle|tell|deal|approach|respond"
    r"|bring|move|decide|cope|proceed|say)\b"
    r"|\b(torn|dilemma|crossroads|conflicted|on the fence)\b|\bis it (wrong|okay|ok|worth|selfish|"
    r"fair|unfair|rude|bad|a mistake|a bad idea|too late|unethical|ethical)\b|\bnot sure (what|if|"
    r"whether)\b|\bdon'?t know (what|if|whether|how)\b|\b(any|need|some|looking for|your) advice\b"
    r"|\bwhat'?s the right\b|\bwhich (one|would you|should)\b|\bdo i (stay|leave|take"
    r"|tell|quit|go|keep|accept)\b|\bhow (do|should|would) (i|we) (choose|weigh|balance)\b"
    r"|\bwhat(?:'?s| is| would be) (the )?(right|fair|best|decent)\b|\bwhat would an? \w+ \w+ do\b"
    r"|(?m)(?:^|[.!?,;:])\s*would you (stay|go|take|tell|keep|leave|quit|accept|let)\b"
    r"|(?:^|[.!?,;:])\s*(?:do|did|am|are|can|could|was|were) (i|we)\b[^.!?\n]*\?"
)


def run(context: Context) -> Result:
    """Drop what is no advice-seeking post; clean and mask the text of the rest."""
    config = context.config.screen
    posts = context.tables["scrape.posts"]
    # Rules see the text as people and models do: no character in it is invisible.
    titles = [clean(title) for title in posts["title"]]
    bodies = [clean(body) for body in posts["body"]]
    tagged = posts.with_columns(
        title=pl.Series(titles, dtype=pl.String), body=pl.Series(bodies, dtype=pl.String)
    ).with_columns(
        words=pl.col("body").str.count_matches(_WORD).cast(pl.Int64),
        asked=pl.concat_str("title", "body", separator="\n"),
    )
    judged = tagged.with_columns(reason=_first_failed(_form_rules(config)))
    readable = judged.filter(pl.col("reason").is_null())
    foreign = ~pl.Series(_is_in(readable["body"].to_list(), config.languages), dtype=pl.Boolean)
    asking = readable.with_columns(
        reason=pl.when(foreign)
        .then(pl.lit("other_language"))
        .otherwise(_first_failed(_question_rules(config)))
    )
    reasons = pl.concat([judged.filter(pl.col("reason").is_not_null()), asking]).sort("post_id")
    kept = reasons.filter(pl.col("reason").is_null())
    masked = [mask(f"{t}\n\n{b}") for t, b in kept.select("title", "body").iter_rows()]
    kept = kept.with_columns(
        text=pl.Series([text for text, _ in masked], dtype=pl.String),
        masked=pl.Series([list(kinds) for _, kinds in masked], dtype=pl.List(pl.String)),
    ).select(schema.SCREENED.keys())
    dropped = reasons.filter(pl.col("reason").is_not_null()).select(
        id="post_id",
        domain="domain",
        outcome=pl.lit("rejected"),
        reason="reason",
        detail=pl.lit(""),
    )
    return Result(
        tables={"posts": kept},
        dropped=dropped,
        funnel=funnel.count("screen", "post", posts.height, kept, dropped),
    )


def _form_rules(config: ScreenConfig) -> list[tuple[str, pl.Expr]]:
    """Return (reason, failed) of the rules on a post's state and form."""
    asked, body = pl.col("asked"), pl.col("body")
    rules: list[tuple[str, pl.Expr]] = [
        ("removed", pl.col("removal") == "removed"),
        ("deleted", pl.col("removal") == "deleted"),
        ("no_body", body.str.strip_chars().str.len_chars() == 0),
        ("too_short", pl.col("words") < config.min_words),
        ("too_long", pl.col("words") > config.max_words),
        ("recurring_thread", pl.col("title").str.contains(_RECURRING)),
        ("update_post", pl.col("title").str.contains(_UPDATE)),
        ("injection_like", asked.str.contains(_INJECTION)),
    ]
    if config.drop_over_18:
        rules.append(("over_18", pl.col("over_18")))
    return rules


def _question_rules(config: ScreenConfig) -> list[tuple[str, pl.Expr]]:
    """Return (reason, failed) of the rules on what a post asks."""
    if not config.require_question:
        return []
    asked = pl.col("asked")
    return [
        ("no_question", ~asked.str.contains(_QUESTION)),
        ("no_dilemma", ~asked.str.contains(_DILEMMA)),
    ]


def _first_failed(rules: list[tuple[str, pl.Expr]]) -> pl.Expr:
    """Return the first failed rule's reason, or null."""
    cases = [pl.when(failed).then(pl.lit(reason)) for reason, failed in rules]
    return pl.coalesce([*cases, pl.lit(None, dtype=pl.String)])


def _is_in(texts: list[str], languages: tuple[str, ...]) -> list[bool]:
    """Return for each text whether it is in one of `languages` (ISO 639-1 codes)."""
    wanted = {language.lower() for language in languages}
    found = _detector().detect_languages_in_parallel_of([t[:_LANGUAGE_CHARACTERS] for t in texts])
    return [f is not None and f.iso_code_639_1.name.lower() in wanted for f in found]


@cache
def _detector() -> LanguageDetector:
    # The languages that advice forums see most; each one more costs memory and time.
    names = (
        "ENGLISH SPANISH PORTUGUESE FRENCH ITALIAN GERMAN DUTCH SWEDISH DANISH BOKMAL FINNISH "
        "POLISH CZECH ROMANIAN TURKISH INDONESIAN TAGALOG RUSSIAN UKRAINIAN GREEK ARABIC HEBREW "
        "HINDI CHINESE JAPANESE KOREAN VIETNAMESE THAI"
    )
    return LanguageDetectorBuilder.from_languages(
        *(getattr(Language, name) for name in names.split())
    ).build()
