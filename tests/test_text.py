"""Cleaning and masking are stable, complete and leave ordinary numbers alone."""

from __future__ import annotations

import unicodedata

import polars as pl
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from pipeline.patterns import CONTACTS
from pipeline.text import clean, clean_all, mask, mask_all, recurring

# Format characters that are drawn (signs over Arabic and Syriac numbers), so not invisible.
DRAWN = {*"\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"}
INVISIBLE = [
    c for c in map(chr, range(0x110000)) if unicodedata.category(c) == "Cf" and c not in DRAWN
]
ENTITIES = ["&#x200B;", "&#8203;", "&nbsp;", "&amp;nbsp;", "&", "#38;", "&#38;", "nbsp;"]
PIECES = st.sampled_from(
    [*ENTITIES, *"e\u0301\u200b\ufeff\u00ad\u202e\r\n\t\x0b\x00\x1b\u2028\xa0 "]
)
MESSY = st.lists(PIECES | st.text(max_size=5)).map("".join)
WORD = st.text("abcdefgh\n ,.!?'-", max_size=20)
LETTERS = st.from_regex(r"[a-z][a-z0-9]{2,9}", fullmatch=True)
DIGITS = st.integers(200, 999)


def phones() -> st.SearchStrategy[str]:
    forms = [
        "({}) {}-{}",
        "{}-{}-{}",
        "{}.{}.{}",
        "{} {} {}",
        "+1 {} {} {}",
        "1-{}-{}-{}",
        "{}{}{}",
    ]
    return st.builds(str.format, st.sampled_from(forms), DIGITS, DIGITS, st.integers(1000, 9999))


FOUND = {
    "email": st.builds("{}.{}+x@mail.{}.co.uk".format, LETTERS, LETTERS, LETTERS)
    | st.builds("{}@{}.com".format, LETTERS, LETTERS),
    "url": st.builds("https://{}.org/{}?q={}#x".format, LETTERS, LETTERS, LETTERS)
    | st.builds("www.{}.com/{}".format, LETTERS, LETTERS)
    | st.builds("HTTP://{}.com".format, LETTERS),
    "user": st.from_regex(r"/?[uU]/[A-Za-z0-9_-]{2,19}[A-Za-z0-9]", fullmatch=True),
    "phone": phones(),
}


@given(MESSY)
@example("e\u200b\u0301")
@example("&#38;nbsp;")
@example("&&#x200B;nbsp;")
def test_cleaning_twice_is_cleaning_once(text: str) -> None:
    assert clean(clean(text)) == clean(text)


@given(MESSY)
def test_clean_text_has_plain_spaces_and_line_ends_only(text: str) -> None:
    done = clean(text)
    assert {c for c in done if unicodedata.category(c) == "Cc"} <= {"\n"}
    assert {c for c in done if c.isspace()} <= {" ", "\n"}
    assert "  " not in done
    assert "\n\n\n" not in done
    assert [line for line in done.split("\n") if line != line.strip()] == []
    assert done == done.strip()


def test_no_invisible_character_stays() -> None:
    """Also the tag block (U+E0000), in which text can be hidden from people but not from models."""
    assert [ascii(c) for c in INVISIBLE if clean(f"a{c}b") != "ab"] == []


@given(st.text(st.characters(categories=["L", "N", "P", "S"], exclude_characters="&"), min_size=1))
def test_cleaning_keeps_every_visible_character(text: str) -> None:
    assert clean(text) == unicodedata.normalize("NFC", text)


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("a&nbsp;b&#x200B;c &amp; d &lt;e&gt;", "a bc &amp; d &lt;e&gt;"),
        ("  one\r\ntwo \r\r\r\r three\t four ", "one\ntwo\n\nthree four"),
        ("I like &#9829;", "I like ♥"),
    ],
)
def test_clean_examples(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned


@given(st.lists(MESSY | WORD, max_size=4))
def test_many_texts_are_cleaned_as_one_is(texts: list[str]) -> None:
    done = clean_all(pl.Series(texts, dtype=pl.String))
    assert done.to_list() == [clean(text) for text in texts]


def test_every_character_is_cleaned_in_bulk_as_it_is_alone() -> None:
    texts = [f"A{c}b{c}" for c in map(chr, range(0x1FB00)) if not "\ud800" <= c <= "\udfff"]
    assert clean_all(pl.Series(texts)).to_list() == [clean(text) for text in texts]


@pytest.mark.parametrize("kind", FOUND)
@given(before=WORD, after=WORD, data=st.data())
def test_personal_data_in_any_sentence_is_masked(
    kind: str, before: str, after: str, data: st.DataObject
) -> None:
    secret = data.draw(FOUND[kind])
    masked, kinds = mask(f"{before} {secret} {after}")
    assert secret not in masked
    assert f"[{kind.upper()}]" in masked
    assert kind in kinds


@given(st.lists(st.one_of(MESSY, WORD, *FOUND.values()), max_size=4))
def test_many_texts_are_masked_as_one_is(texts: list[str]) -> None:
    masked, kinds = mask_all(pl.Series(texts, dtype=pl.String))
    pairs = zip(masked.to_list(), map(tuple, kinds.to_list()), strict=True)
    assert list(pairs) == [mask(text) for text in texts]


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("see [my blog](https://me.example/x), [this](/r/x/1)", "see my blog [URL], this [URL]"),
        ("(u/some_one), u/some-two.", "([USER]), [USER]."),
        ("mail a@b.example or call 555-123-4567!", "mail [EMAIL] or call [PHONE]!"),
        ("[write](mailto:a.b@c.example)", "[write](mailto:[EMAIL])"),
        ("reddit.com/u/SomeName wrote", "reddit.com[USER] wrote"),
        ("look at reddit.com/user/SomeName", "look at reddit.com[USER]"),
        ("call +44 20 7946 0958", "call [PHONE]"),
        ("U/SomeName, /U/SomeName", "[USER], [USER]"),
        ("(5551234567).", "([PHONE])."),
        ("text 98765 43210 or 555-0142", "text [PHONE] or [PHONE]"),
        ("call 07700 900123 or 020 7946 0018", "call [PHONE] or [PHONE]"),
        ("see https://x.example/a.", "see [URL]."),
    ],
)
def test_mask_examples(text: str, masked: str) -> None:
    assert mask(text)[0] == masked


@pytest.mark.parametrize(
    "text",
    [
        "$250,000",
        "2019-2020",
        "1 555",
        "my 401k",
        "(403)b",
        "from 9-5, 3.50 an hour, 10,000,000 in all",
        "rose from 1,200 to 1,350",
        "in 2019, 2020 and 2021",
        "2019 2020 2021",
        "2019-2020-2021",
        "on 2021-10-18 at 10:30",
        "100 000 000",
        "(31M) and I (29F)",
        "and/or, us/them, and r/relationships",
        "@ 5 o'clock",
        "5.0.0.1",
        "a salary of 1200000, $1200000 or 12000000",
        "1500000000 won, 2500000000 yen, $5551234567",
        "at 1699999999 (a time), 4024007166319904",
        "U/S and u/ab",
    ],
)
def test_ordinary_numbers_and_words_are_left_alone(text: str) -> None:
    assert mask(text) == (text, ())


@example(["555-123-4567", "/u/some_one"])
@given(st.lists(st.one_of(WORD, *FOUND.values(), st.sampled_from("[]()/@: u-.")), max_size=8))
def test_masking_twice_is_masking_once(pieces: list[str]) -> None:
    masked, kinds = mask("".join(pieces))
    assert mask(masked) == (masked, ())
    assert list(kinds) == sorted(set(kinds))


@pytest.mark.parametrize("number", range(len(CONTACTS)))
@given(data=st.data())
def test_no_pattern_finds_anything_in_a_masked_text(number: int, data: st.DataObject) -> None:
    """So no kind is left out for want of its hint."""
    _, pattern = CONTACTS[number]
    text = data.draw(st.from_regex(pattern))
    masked, _ = mask(text)
    assert not pattern.search(masked)


@given(st.text())
def test_text_without_any_mark_of_personal_data_is_kept_as_it_is(text: str) -> None:
    assume(not set(text) & set("@/0123456789") and "www." not in text.lower())
    assume(not any(c.isdigit() for c in text))
    assert mask(text) == (text, ())


@pytest.mark.parametrize(
    ("title", "is_one"),
    [
        ("Weekly check-in: how are you?", True),
        ("Weekly check\u2013in: how are you?", True),
        ("Monday's megathread", True),
        ("Monday\u2019s megathread", True),
        ("On Mondays my boss says I should not talk", False),
        ("I\u2019m told weekly that I\u2019m wrong", False),
    ],
)
def test_threads_opened_again_and_again_are_known_however_they_are_typed(
    title: str, *, is_one: bool
) -> None:
    assert pl.select(recurring(pl.lit(title))).item() is is_one
