"""One story in two posts whose texts need share nothing: updates, and posts submitted again.

Equal titles alone are never enough: an update says that it is one, and a post that was submitted
again comes from the same author.
"""

from __future__ import annotations

import re

import polars as pl

from pipeline.duplicates.normal import normal
from pipeline.duplicates.stars import FOUND, found
from pipeline.text import recurring

_LINK = (
    r"(?i)(?:redd\.it/|reddit\.com/(?:r/\w+/)?comments/|(?:^|[\s(\[])/?r/\w+/comments/)"
    r"([a-z0-9]{4,9})\b"
)
_UPDATE = (
    r"\b(?:updated?|updates|tifupdate|follow ?up|continued|continuation|sequel"
    r"|part (?:2|3|ii|iii|two|three))\b"
)
_MARKER = (
    r"\b(?:the |my |an? )?(?:final |last |small |quick |little |mini |short |happy |sad |another "
    r"|second |first |third |1st |2nd |3rd |possible |semi )*" + _UPDATE + r"(?: \d{1,2}\b)?"
    r"(?: (?:on|to|from|re|about|regarding|for|of)\b)?"
    r"(?: (?:my |the |our )?(?:last|previous|original) (?:post|question|thread)\b)?"
)
# Words before a link that say it leads to the author's own post, or to what came of it.
_OWN = (
    r"(?i)\b(?:my|our|here'?s|here is|link to|the|this is an?)\b(?:\W+\w+){0,2}\W+(?:post|thread"
    r"|question|submission|story|update)s?\b"
    r"|\b(?:original|previous|prior|last|first|second|earlier|old|initial)\b(?:\W+\w+)?\W+(?:post"
    r"|thread|question|submission|story|update)s?\b"
    r"|\b(?:original|previously|updated?|part (?:1|one|2|two)|first part|background|backstory"
    r"|follow[ -]?up|continu(?:ed|ation))\b\W*(?:here\W*|of\W*|from\W*|to\W*)?$"
)
# Without a title that says so, only these are clear enough.
_SURELY_OWN = (
    r"(?i)\b(?:my|our|link to) (?:original|prior|initial)(?: \w+)? (?:post|thread|question|story"
    r"|submission|update)s?\b"
    r"|(?:^|[\n*\[(])\W*(?:original|previous|first|second|prior)(?: \w+)? (?:post|thread|question"
    r"|story|update)\W*(?:here|is|can be found|at)?\W*$"
    r"|[\[*]\W*(?:part (?:1|one|2|two)|(?:final |2nd |second )?update)\W*\d?\W*$"
)
# The post of somebody else, whatever else is said.
_OTHERS = (
    r"(?i)\b(?:saw|read|reading|similar|someone|somebody|else'?s|inspired|came across|linked"
    r"|another (?:post|person|user|thread|redditor|story|guy|girl))\b"
)
_MOST_LINKS = 4  # a post with more is a collection
_SCHEME = re.compile(r"(?:https?://)?(?:\w{2,4}\.)?$", re.IGNORECASE)
_NEAR = 120  # characters before a link in which such words count
_LEAST_TITLE_WORDS = 4  # "Update: need advice" follows nothing in particular
_SPAN_DAYS = 400
_SAME_TITLE = 0.5  # of one author within a month


def story_pairs(posts: pl.DataFrame) -> pl.DataFrame:
    """Return rows of FOUND for updates and for posts that their author submitted again.

    Threads that a forum opens again and again refer to each other and are no one's story.
    Similarity is the share of words that the two titles have in common, markers left out; 1.0
    where a link says that it is the same story.

    Args:
        posts: In rank order; columns post_id, subreddit, title, body, created_utc and
            author_hash.
    """
    table = titled(posts.with_columns(row=pl.arange(0, pl.len(), dtype=pl.UInt32)), "body")
    return pl.concat(
        [pl.DataFrame(schema=FOUND), linked(links(table), table), named(table), resubmitted(table)]
    ).unique()


def titled(posts: pl.DataFrame, *more: str) -> pl.DataFrame:
    """Return what the titles of posts say, those of recurring threads left out.

    Args:
        posts: Column row beside those of `story_pairs`.
        more: Further columns to keep.
    """
    return (
        posts.select(
            "post_id",
            "subreddit",
            "created_utc",
            "author_hash",
            "row",
            *more,
            words=normal(pl.col("title")),
            recurring=recurring(pl.col("title")),
        )
        .filter(~pl.col("recurring"))
        .with_columns(
            update=pl.col("words").str.contains(_UPDATE),
            base=pl.col("words")
            .str.replace_all(_MARKER, " ")
            .str.replace_all(" +", " ")
            .str.strip_chars(),
        )
    )


def links(table: pl.DataFrame) -> pl.DataFrame:
    """Return the links to posts in bodies, with the words before each of them."""
    return (
        table.filter(pl.col("body").str.contains(_LINK))
        .select(
            "row", "update", "author_hash", "body", target=pl.col("body").str.extract_all(_LINK)
        )
        .explode("target")
        .with_columns(
            post_id=pl.col("target").str.extract(_LINK).str.to_lowercase(),
            before=pl.struct("body", "target").map_elements(_before, return_dtype=pl.String),
        )
        .unique(["row", "post_id"], keep="first", maintain_order=True)
        .with_columns(links=pl.len().over("row"))
        .drop("body", "target")
    )


def links_in(posts: pl.DataFrame) -> pl.DataFrame:
    """Return the links to posts in the bodies of some posts, as `links`; they have a column row."""
    return links(titled(posts.filter(pl.col("body").str.contains(_LINK)), "body"))


def linked(links: pl.DataFrame, table: pl.DataFrame) -> pl.DataFrame:
    """Return pairs of a post and the one that it calls its own.

    Args:
        links: See `links`.
        table: Posts that they may lead to; see `titled`.
    """
    both = links.join(
        table.select("post_id", other="row", author="author_hash", updated="update"),
        on="post_id",
    ).filter(pl.col("row") != pl.col("other"))
    says = pl.col("before").str.contains(_OWN)
    own = pl.col("author_hash") == pl.col("author")
    stranger = pl.col("author_hash") != pl.col("author")
    one = pl.len().over("row") == 1
    few = pl.col("links") <= _MOST_LINKS
    others = pl.col("before").str.contains(_OTHERS)
    chosen = (
        both.filter(~others)
        .filter(
            (pl.col("update") & (says | one))
            | (says & pl.col("updated") & few)
            | (pl.col("before").str.contains(_SURELY_OWN) & few)
            | own.fill_null(value=False)
        )
        .filter(~stranger.fill_null(value=False))
    )
    return found(chosen.select(a="row", b="other"), "update", pl.lit(1.0))


def _before(post: dict[str, str]) -> str:
    at = post["body"].find(post["target"])
    return _SCHEME.sub("", post["body"][max(0, at - _NEAR) : at])


def long_titled() -> pl.Expr:
    """Return whether a title tells one story from another."""
    return pl.col("base").str.count_matches(" ") + 1 >= _LEAST_TITLE_WORDS


def named(table: pl.DataFrame) -> pl.DataFrame:
    """Return pairs of an update and the earlier post of the same subreddit that has its title."""
    updates = table.filter(pl.col("update") & long_titled())
    firsts = table.filter(~pl.col("update") & long_titled())
    pairs = updates.join(firsts, on=["base", "subreddit"], suffix="_first")
    age = pl.col("created_utc") - pl.col("created_utc_first")
    in_time = age.is_between(pl.duration(), pl.duration(days=_SPAN_DAYS)).fill_null(value=True)
    stranger = (pl.col("author_hash") != pl.col("author_hash_first")).fill_null(value=False)
    # Of several posts with that title it is not known which one it follows.
    chosen = pairs.filter(in_time & ~stranger).filter(pl.len().over("row") == 1)
    return found(chosen.select(a="row", b="row_first"), "update", pl.lit(1.0))


def resubmitted(table: pl.DataFrame) -> pl.DataFrame:
    """Return pairs of one author with nearly one title, in one month."""
    known = table.filter(pl.col("author_hash").is_not_null()).with_columns(
        set=pl.col("base").str.split(" ").list.unique()
    )
    pairs = known.join(known, on="author_hash", suffix="_2").filter(pl.col("row") < pl.col("row_2"))
    shared = pl.col("set").list.set_intersection("set_2").list.len()
    union = pl.col("set").list.set_union("set_2").list.len()
    measured = pairs.with_columns(similarity=(shared / union).round(4))
    near = (pl.col("created_utc") - pl.col("created_utc_2")).abs() <= pl.duration(days=31)
    chosen = measured.filter((pl.col("similarity") >= _SAME_TITLE) & near.fill_null(value=False))
    return found(
        chosen.select("similarity", a="row", b="row_2"), "resubmitted", pl.col("similarity")
    )
