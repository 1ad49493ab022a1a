"""What of a post is compared: its words in one spelling, without links and without tails."""

from __future__ import annotations

import polars as pl

from pipeline.scale import LOCAL, Engine

LEAST_WORDS = 20
"""A shorter body ("please help, it is due tomorrow") is compared together with its title."""

_POSTS_AT_ONCE = 50_000  # what stands between a body and its words is several times as large

_LEAST_BODY = 5  # fewer words ("title says it all") are none

_LINK = r"\]\([^)\s]*\)|https?://\S+|www\.\S+|\[(?:URL|EMAIL|PHONE|USER|USERNAME)\]"
_TAIL = r"(?ims)^\W*(?:(?:edit(?:ed)?|update)\s*\d*\s*[:*\u2013-]|tl;?\s?dr\b).*\z"
_NOT_WORD = r"[^\p{L}\p{N}]+"
_APOSTROPHE = r"['\u2019]"
_LEAST_KEPT = 0.5  # a "tail" longer than half the text is the text


def normal(text: pl.Expr) -> pl.Expr:
    """Return the words of `text` in lower case, one space between.

    Links go, and so does a trailing part that opens with EDIT, UPDATE or TL;DR, unless it is
    more than half of the text.
    """
    head = text.str.replace(_TAIL, "")
    whole = pl.when(head.str.len_chars() >= _LEAST_KEPT * text.str.len_chars())
    return (
        whole.then(head)
        .otherwise(text)
        .str.replace_all(_LINK, " ")
        .str.to_lowercase()
        .str.replace_all(_APOSTROPHE, "")
        .str.replace_all(_NOT_WORD, " ")
        .str.strip_chars(" ")
    )


def compared(titles: pl.Series, bodies: pl.Series, engine: Engine = LOCAL) -> pl.Series:
    """Return the normal words of posts: of the body, or of title and body if that is short.

    A post without a body has none: equal titles alone are never enough.
    """
    if titles.is_empty():
        return pl.Series(dtype=pl.String)
    posts = pl.DataFrame({"title": titles, "body": bodies})
    size = min(_POSTS_AT_ONCE, posts.height // engine.partitions + 1)
    slices = list(posts.iter_slices(size))
    return pl.concat(list(engine.map("words compared", _compared, slices)))


def _compared(posts: pl.DataFrame) -> pl.Series:
    words = posts.select(normal(pl.col("body"))).to_series().alias("words")
    many = words.str.count_matches(" ") + 1
    table = posts.select("title", words, many=many).with_columns(
        words=pl.when(pl.col("many") < _LEAST_BODY).then(pl.lit("")).otherwise("words")
    )
    few = table.with_row_index().filter(pl.col("many").is_between(_LEAST_BODY, LEAST_WORDS - 1))
    titled = few.select(pl.concat_str(normal(pl.col("title")), "words", separator=" "))
    return table["words"].scatter(few["index"], titled.to_series())
