"""Stage tag: what can be said of each post by rule, whatever the thresholds.

Tags are facts for `screen` to decide on, so that changing a threshold tags nothing again. Rules on
words know English only. They are a first sieve: what a rule cannot judge (is this a decision with
several defensible courses?) is for language models and experts.
"""

from __future__ import annotations

import polars as pl

from pipeline import funnel, schema
from pipeline.language import LINK, languages
from pipeline.scale import Part
from pipeline.stage import DROPPED_TABLE, Context, Result
from pipeline.text import as_typed, clean_all, mask_all, recurring

_POSTS_AT_ONCE = 20_000  # that are held as Python objects

_WORD = r"[\p{L}\p{N}]+(?:['\u2019\-][\p{L}\p{N}]+)*"
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
# The author says to be under 18; a child in the story is no reason to drop a parent's post.
_MINOR = (
    r"(?i)\bi(?:'?m| am) (?:an? )?(?:only |just |currently )?(?:1[0-7]|eleven|twelve|thirteen"
    r"|fourteen|fifteen|sixteen|seventeen)(?: ?(?:years? old|yo|y/o|m|f)\b|[,.;!?)]|\s+and\b)"
    r"|\b(?:i|me|i'm)\s*[\[(]\s*(?:1[0-7]\s*[mf]?|[mf]\s*1[0-7])\s*[\])]"
    r"|^\s*[\[(]?\s*(?:1[0-7]\s?[mf]|[mf]\s?1[0-7])\b"
    r"|\bi(?:'?m| am) (?:a|in) (?:middle school|8th grade|9th grade|freshman in high school)"
)
_SELF_HARM = (
    r"(?i)\bsuicid(?:e|al)\b|\bkill(?:ing)? (?:myself|herself|himself|themselves)\b"
    r"|\bself[- ]?harm|\bcut(?:ting)? (?:myself|herself|himself)\b"
    r"|\b(?:want|wanted|wanting) to (?:die|end (?:it all|my life))\b"
    r"|\bend(?:ing)? my (?:own )?life\b"
    r"|\boverdos(?:e|ed|ing)\b|\banorexi|\bbulimi"
)
_SEXUAL = (
    r"(?i)\b(?:porn\w*|masturbat\w*|orgasm\w*|blow ?jobs?|handjobs?|anal sex|oral sex|threesomes?"
    r"|gangbang|kinks?|fetish\w*|dildos?|vibrators?|genitals?|penis|vagina|clit\w*|cum(?:ming)?"
    r"|nudes?|horny|erections?|sexting|rap(?:e|ed|ist)|molest\w*|incest\w*|sexual(?:ly)? (?:abus|"
    r"assault|harass)\w*|have sex|had sex|having sex|sex life|sex with)\b"
)


def run(context: Context) -> Result:
    """Tag every post; only one that the rules cannot read is dropped, as failed."""
    posts = context.parts("scrape.posts")
    kept = context.spool("posts", schema.TAGGED)
    lost = context.spool(DROPPED_TABLE, schema.DROPPED)
    for tags, failed in context.engine.map("tag", _tag_part, posts, lost=_lost):
        kept.add(tags)
        lost.add(failed)
    entered = sum(part.rows for part in posts)
    return Result(
        tables={"posts": kept.table()},
        dropped=lost.table(),
        funnel=funnel.count("tag", "post", entered, kept.lazy(), lost.lazy()),
    )


def _tag_part(part: Part) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return rows of schema.TAGGED, and of schema.DROPPED."""
    return _tagged_or_failed(part.read())


def _tagged_or_failed(posts: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Tag posts; if that fails, look for the post that is to blame, by halves."""
    try:
        return tagged(posts), schema.frame([], schema.DROPPED)
    except Exception as error:
        if posts.is_empty() or isinstance(error, MemoryError):
            raise
        if posts.height == 1:
            return _failed(posts, type(error).__name__)
    middle = posts.height // 2
    halves = [_tagged_or_failed(half) for half in (posts[:middle], posts[middle:])]
    return pl.concat([kept for kept, _ in halves]), pl.concat([gone for _, gone in halves])


def _lost(part: Part) -> tuple[pl.DataFrame, pl.DataFrame]:
    return _failed(part.read(), "the process died")


def _failed(post: pl.DataFrame, why: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    row = post.row(0, named=True)
    lost = schema.dropped_row(row["post_id"], row["domain"], "error", why)
    rows = schema.frame([lost | {"outcome": "failed"}], schema.DROPPED)
    return pl.DataFrame(schema=schema.TAGGED), rows


def tagged(posts: pl.DataFrame) -> pl.DataFrame:
    """Return rows of schema.TAGGED for rows of schema.POSTS."""
    nothing = pl.DataFrame(schema=schema.TAGGED)
    return pl.concat([nothing, *(_tagged(some) for some in posts.iter_slices(_POSTS_AT_ONCE))])


def _tagged(posts: pl.DataFrame) -> pl.DataFrame:
    read = with_text(posts)
    outside_links = pl.col("body").str.replace_all(LINK, " ")
    table = read.with_columns(
        words=pl.col("body").str.count_matches(_WORD).cast(pl.Int64),
        words_outside_links=outside_links.str.count_matches(_WORD).cast(pl.Int64),
        tags=_tags(),
    ).with_columns(language=pl.Series(languages(read["body"].to_list()), dtype=pl.String))
    return table.select(schema.TAGGED.keys())


def with_text(posts: pl.DataFrame) -> pl.DataFrame:
    """Return `posts` with title and body cleaned, and the columns text and masked.

    So rules see what people and models see: no character in it is invisible.
    """
    slices = list(posts.iter_slices(_POSTS_AT_ONCE)) or [posts]
    return pl.concat([_with_text(some) for some in slices])


def _with_text(posts: pl.DataFrame) -> pl.DataFrame:
    read = posts.with_columns(title=clean_all(posts["title"]), body=clean_all(posts["body"]))
    text, masked = mask_all(
        read.select(pl.concat_str("title", "body", separator="\n\n")).to_series()
    )
    return read.with_columns(text.alias("text"), masked.alias("masked"))


def _tags() -> pl.Expr:
    """Return the list of tags that hold for a post, in the order of schema.TAGS."""
    asked = as_typed(pl.concat_str("title", "body", separator="\n"))
    found: dict[str, pl.Expr] = {
        "over_18": pl.col("over_18").fill_null(value=False),
        "recurring_thread": recurring(pl.col("title")),
        "update_post": as_typed(pl.col("title")).str.contains(_UPDATE),
        "injection_like": asked.str.contains(_INJECTION),
        "minor": asked.str.contains(_MINOR),
        "self_harm": asked.str.contains(_SELF_HARM),
        "sexual": asked.str.contains(_SEXUAL),
        "question": asked.str.contains(_QUESTION),
        "dilemma": asked.str.contains(_DILEMMA),
    }
    named = [pl.when(found[name]).then(pl.lit(name)) for name in schema.TAGS]
    return pl.concat_list(named).list.drop_nulls()
