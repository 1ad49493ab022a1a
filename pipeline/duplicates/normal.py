"""What of a post is compared: its words in one spelling, without links and without tails."""

from __future__ import annotations

import polars as pl

LEAST_WORDS = 20
"""A shorter body ("please help, it is due tomorrow") is compared together with its title."""

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


def compared(title: pl.Expr, body: pl.Expr) -> pl.Expr:
    """Return the normal words of a post: of its body, or of title and body if that is short.

    A post without a body has none: equal titles alone are never enough.
    """
    words = normal(body)
    many = words.str.count_matches(" ") + 1
    return (
        pl.when(many < _LEAST_BODY)
        .then(pl.lit(""))
        .when(many < LEAST_WORDS)
        .then(pl.concat_str(normal(title), words, separator=" "))
        .otherwise(words)
    )
