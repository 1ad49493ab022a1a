"""Every line of a dump ends as one post or one BadLine, whatever it holds."""

from __future__ import annotations

import html
import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline import schema
from pipeline.errors import BadInputError
from pipeline.sources.authors import Authors, author_hash
from pipeline.sources.post import BadLine
from tests.dump_lines import PACK, Read, ids, line, numbers, reader

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
).filter(lambda value: "Infinity" not in json.dumps(value))

NUMBER = st.integers() | st.floats() | st.floats().map(str)


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Read:
    return reader(tmp_path_factory.mktemp("dump"))


KINDS: list[tuple[bytes, str]] = [
    (line("a"), "a"),
    (line("b", subreddit="frugal") + b"\r", "b"),
    (b"  " + line("c", edited=1.5e9) + b" ", "c"),
    (line("o", subreddit="pics"), "other_subreddit"),
    (line("n", subreddit=None), "other_subreddit"),
    (line("k", title=..., selftext=..., body="reply", link_id="t3_a"), "comment"),
    (b'{"id": "x", "subreddit": "As', "not_json"),
    (line("x") + line("y"), "not_json"),
    (b"[1, 2]", "bad_field"),
    (b'{"subreddit": "AskHR"}', "bad_field"),
    (line("x", title=5), "bad_field"),
    (line("x", title="T").replace(b"T", b"\xff\xfe"), "bad_encoding"),
    (line("u", subreddit="u_somebody"), "other_subreddit"),
    (line("x", title="T").decode().encode("utf-16"), "bad_encoding"),
    (line("x", title="T").replace(b"T", "Ärger".encode("latin-1")), "bad_encoding"),
    (b"", "blank_line"),
    (b" \t\r", "blank_line"),
]


@given(st.lists(st.sampled_from(KINDS), min_size=1, max_size=12), st.booleans())
@pytest.mark.parametrize("suffix", PACK)
@settings(deadline=None, max_examples=60)
def test_every_line_is_one_post_or_one_bad_line(
    read: Read, suffix: str, kinds: list[tuple[bytes, str]], closed: bool
) -> None:
    if not closed and not kinds[-1][0]:
        kinds = [*kinds, KINDS[0]]  # an empty last line without a line end is no line
    data = b"\n".join(text for text, _ in kinds) + b"\n" * closed
    items = read(PACK[suffix](data), suffix)
    assert ids(items) == [expected for _, expected in kinds]
    assert numbers(items) == list(range(1, len(kinds) + 1))


@given(st.binary(max_size=300) | st.lists(st.binary(max_size=30)).map(b"\n".join))
@pytest.mark.parametrize("suffix", PACK)
@settings(deadline=None, max_examples=100)
@example(b"\x28\xb5\x2f\xfd")
@example(b"\x1f\x8b\x08")
@example(b"\n")
def test_no_bytes_are_a_crash(read: Read, suffix: str, data: bytes) -> None:
    for file in (data, PACK[suffix](data)):
        try:
            items = read(file, suffix)
        except BadInputError as error:
            assert f"posts{suffix}" in str(error)
        else:
            assert numbers(items) == list(range(1, len(items) + 1))
            assert len(items) >= 1


@given(
    st.fixed_dictionaries(
        {"id": JSON | st.text(), "subreddit": st.just("AskHR")},
        optional=dict.fromkeys(
            ("title", "selftext", "link_flair_text", "removed_by_category", "link_id"),
            st.text() | JSON,
        )
        | dict.fromkeys(
            ("created_utc", "score", "num_comments"), st.integers() | st.floats() | JSON
        )
        | {"over_18": st.booleans() | JSON, "_meta": JSON},
    ).filter(lambda post: "Infinity" not in json.dumps(post))
)
@settings(deadline=None, max_examples=300)
@example({"id": "a", "subreddit": "AskHR", "score": 1e300})
@example({"id": "a", "subreddit": "AskHR", "num_comments": 2**63})
@example({"id": "a", "subreddit": "AskHR", "title": "\ud800", "selftext": "&#xD800;"})
@example({"id": "a", "subreddit": "AskHR", "_meta": {"was_deleted_later": [1]}})
def test_whatever_the_fields_hold_the_line_is_a_bad_line_or_fits_the_table(
    read: Read, post: dict[str, Any]
) -> None:
    (item,) = read(json.dumps(post).encode())
    if isinstance(item, BadLine):
        assert (item.line, item.detail != "") == (1, True)
    else:
        assert item.keys() == schema.POSTS.keys()
        assert schema.frame([item], schema.POSTS).row(0, named=True) == item


@given(st.dictionaries(st.text().map("x_{}".format), JSON, max_size=5))
@settings(deadline=None, max_examples=60)
@example({"edited": False, "gilded": 0})
@example({"edited": 1.5e9, "gilded": {"gid_1": 2}, "author": None, "created": "yesterday"})
def test_fields_that_drift_but_are_not_read_change_nothing(
    read: Read, extra: dict[str, Any]
) -> None:
    assert read(line("a", **extra)) == read(line("a"))


@pytest.mark.parametrize("field", ["x", "_meta"])
def test_deep_nesting_is_a_bad_line(read: Read, field: str) -> None:
    nested = b'{"id": "n", "subreddit": "AskHR", "%s": {"a": %s%s}}' % (
        field.encode(),
        b"[" * 50_000,
        b"]" * 50_000,
    )
    items = read(b"\n".join([line("a"), nested, line("b")]))
    assert ids(items)[::2] == ["a", "b"]
    assert isinstance(items[1], BadLine)


@pytest.mark.parametrize("given_time", [1577836800, 1577836800.0, "1577836800", "1577836800.0"])
def test_created_utc_is_read_in_every_form_of_the_years(read: Read, given_time: Any) -> None:
    (post,) = read(line(created_utc=given_time))
    assert post["created_utc"] == datetime(2020, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(("value", "time"), [(None, None), ("", None), (..., None), (-1, -1)])
def test_created_utc_may_be_absent_or_before_1970(read: Read, value: Any, time: int | None) -> None:
    (post,) = read(line(created_utc=value))
    assert post["created_utc"] == (None if time is None else datetime.fromtimestamp(time, UTC))


@pytest.mark.parametrize(
    "value", [1e300, -1e300, 1e12, "abc", "nan", "-inf", True, 10**400, [], {}]
)
def test_an_absurd_created_utc_is_a_bad_field(read: Read, value: Any) -> None:
    assert ids(read(line("a") + b"\n" + line("b", created_utc=value))) == ["a", "bad_field"]


@given(st.text())
@settings(deadline=None, max_examples=100)
@example("&amp; &lt; &#x200B; &nbsp;")
def test_html_escaping_is_undone_exactly_once(read: Read, text: str) -> None:
    escaped = html.escape(text, quote=False)
    data = line(title=escaped, selftext=escaped, link_flair_text=escaped)
    for as_read, found in ((True, text), (False, escaped)):
        (post,) = read(data, html_escaped=as_read)
        assert (post["title"], post["body"], post["flair"] or "") == (found, found, found)


@pytest.mark.parametrize(
    ("fields", "removal"),
    [
        ({}, "none"),
        ({"selftext": " [Removed] \n"}, "removed"),
        ({"selftext": "[removed by reddit]"}, "removed"),
        ({"selftext": "[ Removed by Reddit ]"}, "removed"),
        ({"selftext": "[deleted]"}, "deleted"),
        ({"selftext": "why was it [removed]?"}, "none"),
        ({"removed_by_category": "moderator"}, "removed"),
        ({"removed_by_category": "deleted"}, "deleted"),
        ({"_meta": {"was_deleted_later": True}}, "deleted"),
        ({"_meta": {"was_deleted_later": False}}, "none"),
        ({"_meta": {"was_deleted_later": True, "removal_type": "deleted"}}, "deleted"),
        ({"_meta": {"was_deleted_later": True, "removal_type": "author"}}, "deleted"),
        ({"_meta": {"was_deleted_later": True, "removal_type": "moderator"}}, "removed"),
        ({"_meta": {"was_deleted_later": True, "removal_type": ["?"]}}, "removed"),
        ({"_meta": {"was_initially_deleted": True, "removal_type": "moderator"}}, "none"),
    ],
)
def test_removal_is_read_from_body_category_and_archive(
    read: Read, fields: dict[str, Any], removal: str
) -> None:
    (post,) = read(line(**fields))
    assert post["removal"] == removal


KEY = b"a key that nobody has"
# A lone "/" and the words that sources put for nobody have no hash; see the next test.
NAMES = st.text(min_size=1, max_size=20).filter(
    lambda name: author_hash(name, KEY) is not None and "/" not in name
)


@given(NAMES, NAMES)
@settings(deadline=None, max_examples=100)
@example("Somebody", "someBODY")
@example("u/Somebody", "somebody")
def test_equal_authors_and_only_they_have_equal_hashes(read: Read, one: str, other: str) -> None:
    found = [
        item["author_hash"]
        for item in read(
            line("a", author=one) + b"\n" + line("b", author=other), authors=Authors(KEY)
        )
    ]
    same = [name.strip().lower().removeprefix("u/") for name in (one, other)]
    if "/" not in one + other:
        assert (found[0] == found[1]) == (same[0] == same[1])
    for name, digest in zip((one, other), found, strict=True):
        assert digest == author_hash(name, KEY)
        assert re.fullmatch("[0-9a-f]{16}", digest)
        assert digest != author_hash(name, KEY + b"!")


@pytest.mark.parametrize("author", [None, ..., "", "[deleted]", "[Removed]", " ", 7, ["x"], {}])
def test_nobody_has_no_hash(read: Read, author: Any) -> None:
    authors = Authors(KEY)
    (post,) = read(line("a", author=author), authors=authors)
    assert (post["author_hash"], authors.hashed, authors.without_key) == (None, 0, 0)


def test_without_a_key_authors_are_counted_and_not_hashed(read: Read) -> None:
    authors = Authors()
    data = [line("a", author="somebody"), line("b"), line("c", author="x", subreddit="pics")]
    posts = [item for item in read(b"\n".join(data), authors=authors) if isinstance(item, dict)]
    assert [post["author_hash"] for post in posts] == [None, None]
    assert (authors.hashed, authors.without_key) == (0, 1)


def test_a_hash_that_the_source_brings_is_taken(read: Read) -> None:
    for authors in (Authors(), Authors(KEY)):
        (post,) = read(
            line("a", author="somebody", author_hash="0123456789abcdef"), authors=authors
        )
        assert post["author_hash"] == "0123456789abcdef"
        assert (authors.hashed, authors.without_key) == (1, 0)


@pytest.mark.parametrize("name", ["somebody_real", "0123456789ABCDEF", "0123456789abcde"])
def test_a_brought_hash_that_is_none_is_a_bad_field_and_not_repeated(read: Read, name: str) -> None:
    (bad,) = read(line("a", author_hash=name))
    assert isinstance(bad, BadLine)
    assert bad.reason == "bad_field"
    assert name not in bad.detail


def test_a_post_on_a_users_page_is_set_aside_without_the_name(read: Read) -> None:
    for everything in (False, True):
        (bad,) = read(line("a", subreddit="u_Somebody"), all_subreddits=everything)
        assert isinstance(bad, BadLine)
        assert (bad.reason, bad.detail) == ("other_subreddit", "(a user's page)")


def test_all_subreddits_keeps_the_others_without_a_domain(read: Read) -> None:
    data = [line("a"), line("b", subreddit="pics"), line("c", subreddit=None)]
    items = read(b"\n".join(data), all_subreddits=True)
    assert ids(items) == ["a", "b", "c"]
    assert [(i["subreddit"], i["domain"]) for i in items if isinstance(i, dict)] == [
        ("AskHR", "career"),
        ("pics", None),
        (None, None),
    ]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_a_file_in_another_encoding_is_counted_as_such(read: Read, encoding: str) -> None:
    data = b"\n".join([line("a"), line("b"), line("c")]).decode().encode(encoding)
    assert set(ids(read(data))) == {"bad_encoding"}


def test_limit_stops_after_that_many_lines(read: Read) -> None:
    data = b"\n".join([line("a"), b"nonsense", line("b"), line("c")])
    assert ids(read(data, limit=3)) == ["a", "not_json", "b"]
    assert ids(read(data, limit=0)) == ["a", "not_json", "b", "c"]


def test_a_post_carries_its_domain_file_and_line(read: Read) -> None:
    fields = {"score": "12", "num_comments": 3.0, "over_18": None, "author": "somebody"}
    (post,) = read(line("a", subreddit="FRUGAL", created_utc=0, **fields))
    assert post == {
        "post_id": "a",
        "subreddit": "FRUGAL",
        "domain": "finance",
        "title": "t",
        "body": "b",
        "created_utc": datetime(1970, 1, 1, tzinfo=UTC),
        "score": 12,
        "num_comments": 3,
        "over_18": False,
        "flair": None,
        "removal": "none",
        "author_hash": None,
        "source_file": "posts.ndjson",
        "source_line": 1,
    }
