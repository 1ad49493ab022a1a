"""Every row of an export ends as one post or one BadLine, by the mapping of its columns."""

from __future__ import annotations

import csv
import dataclasses
import gzip
import html
import io
import json
import re
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline import schema
from pipeline.errors import BadInputError
from pipeline.paths import ROOT
from pipeline.sources.authors import Authors, author_hash
from pipeline.sources.export import read_export
from pipeline.sources.mapping import Columns, Mapping, load_mapping, load_mappings
from pipeline.sources.post import BadLine, Wanted
from pipeline.sources.unpack import MAX_LINE

Item = dict[str, Any] | BadLine
Read = Callable[..., list[Item]]
PACK: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".zst": zstandard.compress,
}
KINDS = (".csv", ".tsv", ".json", ".ndjson")
MAPPING = Mapping(
    about="tests",
    html_escaped=False,
    columns=Columns(
        id="id",
        title="title",
        body="text:",
        created_utc="when",
        subreddit="sub",
        score="score",
        num_comments="comments",
        over_18="adult",
        flair="flair",
        removed="removed",
        deleted="deleted",
        removed_by="by",
        author="who",
        author_hash="hash",
    ),
    optional=tuple(f.name for f in dataclasses.fields(Columns))[3:],
)
ROW = {"id": "abc", "title": "t", "text:": "b"}


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Read:
    """Return a function that writes bytes to a file of this suffix and reads them as an export."""
    folder = tmp_path_factory.mktemp("export")

    def run(
        data: bytes,
        suffix: str = ".csv",
        mapping: Mapping = MAPPING,
        limit: int = 0,
        **options: Any,
    ) -> list[Item]:
        path = folder / f"posts{suffix}"
        path.write_bytes(data)
        wanted = Wanted({"askhr": "career"}, True, **({"all_subreddits": True} | options))
        return list(read_export(path, mapping, wanted, limit))

    return run


def written(rows: list[dict[str, Any]], suffix: str) -> bytes:
    """Return rows as a file of this kind."""
    kind, _, packed = suffix.removeprefix(".").partition(".")
    if kind == "json":
        data = json.dumps(rows, indent=1).encode()
    elif kind == "ndjson":
        data = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    else:
        text = io.StringIO(newline="")
        columns = list(dict.fromkeys(name for row in rows for name in row))
        writer = csv.DictWriter(text, columns, delimiter="\t" if kind == "tsv" else ",")
        writer.writeheader()
        writer.writerows(rows)
        data = text.getvalue().encode()
    return PACK[f".{packed}" if packed else ""](data)


def one(read: Read, suffix: str = ".csv", mapping: Mapping = MAPPING, **cells: Any) -> Item:
    (item,) = read(written([ROW | cells], suffix), suffix, mapping)
    return item


def ids(items: list[Item]) -> list[str]:
    """Return each item as the id of its post, or as the reason of its bad row."""
    return [item.reason if isinstance(item, BadLine) else item["post_id"] for item in items]


def numbers(items: list[Item]) -> list[int]:
    return [item.line if isinstance(item, BadLine) else item["source_line"] for item in items]


TEXT = st.text(st.characters(codec="utf-8"), max_size=40)
TEXTS = st.fixed_dictionaries({"title": TEXT, "text:": TEXT, "flair": TEXT})


@given(st.lists(TEXTS, min_size=1, max_size=5), st.sampled_from(sorted(PACK)))
@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=120)
@example([{"title": 'a "b"', "text:": "one\r\ntwo\rthree\n\nfour,\tfive", "flair": ","}], "")
@example([{"title": "\ufeff", "text:": '"', "flair": '""\n'}], ".zst")
@example([{"title": "\x00", "text:": "\x1a\x0b\x0c\x1c\x85\u2028", "flair": ""}], ".gz")
def test_any_text_comes_back_as_it_was_written(
    read: Read, kind: str, texts: list[dict[str, str]], packing: str
) -> None:
    rows = [{"id": f"p{i}", **cells} for i, cells in enumerate(texts)]
    items = read(written(rows, kind + packing), kind + packing)
    assert ids(items) == [row["id"] for row in rows]
    assert numbers(items) == list(range(1, len(rows) + 1))
    for item, row in zip(items, rows, strict=True):
        assert isinstance(item, dict)
        found = (item["title"], item["body"], item["flair"] or "")
        assert found == (row["title"], row["text:"], row["flair"])


@given(TEXT)
@settings(deadline=None, max_examples=60)
@example("&amp; &lt; &#x200B;")
def test_html_escaping_is_undone_exactly_once_and_only_where_the_mapping_says(
    read: Read, text: str
) -> None:
    for escaped in (True, False):
        mapping = dataclasses.replace(MAPPING, html_escaped=escaped)
        shown = html.escape(text, quote=False)
        item = one(read, mapping=mapping, title=shown)
        assert isinstance(item, dict)
        assert item["title"] == (text if escaped else shown)


CELL = TEXT | st.integers() | st.floats() | st.booleans() | st.none() | st.lists(st.none())


@given(
    st.fixed_dictionaries(
        dict.fromkeys(ROW, CELL),
        optional={name: CELL for name in MAPPING.named().values() if name not in ROW},
    ),
    st.sampled_from(KINDS),
)
@settings(deadline=None, max_examples=300)
@example(ROW | {"when": "1e400", "score": "nan"}, ".csv")
@example(ROW | {"when": "9999-12-31T23:59:59-14:00"}, ".tsv")
@example(ROW | {"id": True}, ".json")
def test_whatever_the_cells_hold_the_row_is_a_bad_row_or_fits_the_table(
    read: Read, cells: dict[str, Any], kind: str
) -> None:
    items = read(written([cells, ROW], kind), kind)
    assert numbers(items) == [1, 2]
    assert ids(items)[1] == "abc"
    for item in items:
        if isinstance(item, BadLine):
            assert item.detail
        else:
            assert schema.frame([item], schema.POSTS).row(0, named=True) == item


@given(st.binary(max_size=200))
@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=100)
@example(b"")
@example(b"\n\n")
@example(b"[]")
@example(b"[" * 3000)
@example(b'[{"a":1}}, {"b":2}]')
@example(b"id,title,text:\n\xff,\xfe,\n")
def test_no_bytes_are_a_crash(read: Read, kind: str, data: bytes) -> None:
    for file in (data, b"id,title,text:\n" + data, b'[{"id":"a","title":"","text:":""},' + data):
        try:
            items = read(file, kind)
        except BadInputError as error:
            assert f"posts{kind}" in str(error)
        else:
            assert numbers(items) == list(range(1, len(items) + 1))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "given_id",
    [
        "abc",
        " t3_abc ",
        "/r/AskHR/comments/abc/title_of_it/",
        "https://www.reddit.com/r/AskHR/comments/abc/title/?utm=1",
        "https://old.reddit.com/comments/abc",
        "https://redd.it/abc",
    ],
)
def test_an_id_is_found_in_a_name_or_a_link(read: Read, kind: str, given_id: str) -> None:
    assert ids([one(read, kind, id=given_id)]) == ["abc"]


@pytest.mark.parametrize("given_id", ["", "https://example.org/a", "1E+05", "a b", "t5_abc", "-"])
def test_a_row_without_an_id_is_a_bad_row(read: Read, given_id: str) -> None:
    assert ids([one(read, id=given_id)]) == ["no_id"]
    assert ids([one(read, id="t1_abc")]) == ["comment"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("cell", "time"),
    [
        ("1577836800", 0),
        (1577836800, 0),
        (1577836800.0, 0),
        ("1577836800.0", 0),
        ("2020-01-01 00:00:00", 0),
        ("2020-01-01T00:00:00Z", 0),
        ("2020-01-01T02:00:00+02:00", 0),
        ("2020-01-01", 0),
        ("2020-01-01 00:00:01.5", 1.5),
    ],
)
def test_a_time_is_read_in_every_form(read: Read, kind: str, cell: Any, time: float) -> None:
    item = one(read, kind, when=cell)
    assert isinstance(item, dict)
    assert item["created_utc"] == datetime.fromtimestamp(1577836800 + time, UTC)


@pytest.mark.parametrize("cell", ["yesterday", "31.12.2019", "2020-13-01", "inf"])
def test_what_is_no_time_is_a_bad_field(read: Read, cell: str) -> None:
    assert ids([one(read, when=cell)]) == ["bad_field"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("cells", "removal"),
    [
        ({}, "none"),
        ({"removed": "0", "deleted": "False"}, "none"),
        ({"removed": 1}, "removed"),
        ({"removed": "True"}, "removed"),
        ({"deleted": "yes"}, "deleted"),
        ({"deleted": True, "removed": True}, "deleted"),
        ({"by": "moderator"}, "removed"),
        ({"by": "deleted"}, "deleted"),
        ({"by": ""}, "none"),
        ({"text:": "[removed]", "deleted": 1}, "removed"),
        ({"text:": "[deleted]"}, "deleted"),
    ],
)
def test_removal_is_read_from_flags_category_and_body(
    read: Read, kind: str, cells: dict[str, Any], removal: str
) -> None:
    item = one(read, kind, **cells)
    assert isinstance(item, dict)
    assert item["removal"] == removal


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        ("AskHR", "AskHR"),
        ("r/AskHR", "AskHR"),
        ("/r/AskHR/", "AskHR"),
        ("https://www.reddit.com/r/AskHR/comments/abc/", "AskHR"),
        ("https://www.reddit.com/user/somebody/comments/abc/", None),
        ("", None),
    ],
)
def test_a_subreddit_is_read_from_a_name_or_a_link(read: Read, cell: str, name: str | None) -> None:
    item = one(read, sub=cell)
    assert isinstance(item, dict)
    assert (item["subreddit"], item["domain"]) == (name, "career" if name else None)


def test_a_subreddit_may_be_that_of_the_mapping_or_of_the_files_name(read: Read) -> None:
    bare = dataclasses.replace(MAPPING, columns=Columns(id="id", title="title", body="text:"))
    bare = dataclasses.replace(bare, optional=())
    for mapping, name in (
        (dataclasses.replace(bare, subreddit="AskHR"), "AskHR"),
        (dataclasses.replace(bare, subreddit_from_file=True), "posts"),
    ):
        item = one(read, ".csv.gz", mapping)
        assert isinstance(item, dict)
        assert item["subreddit"] == name


def test_the_author_becomes_a_hash(read: Read) -> None:
    authors = Authors(b"key")
    rows = [ROW | {"who": who, "hash": ""} for who in ("Somebody", "None", "")]
    rows.append(ROW | {"who": "x", "hash": "0123456789abcdef"})
    items = read(written(rows, ".csv"), authors=authors)
    found = [item["author_hash"] for item in items if isinstance(item, dict)]
    assert found == [author_hash("somebody", b"key"), None, None, "0123456789abcdef"]
    assert (authors.hashed, authors.without_key) == (2, 0)


GOOD = b"id,title,text:\na,t,b\n"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b"x,t\n", "wrong_columns"),
        (b"x,t,b,\n", "wrong_columns"),
        (b"x,caf\xe9,b\n", "bad_encoding"),
        (b'x,"said "hi" there",b\n', "broken_row"),
        (b"x,t\rt,b\n", "broken_row"),
        (b'x,"' + b"y" * (MAX_LINE + 1) + b'",b\n', "line_too_long"),
        (b"\n", "blank_line"),
    ],
)
@pytest.mark.parametrize("packing", ["", ".zst"])
def test_a_broken_row_is_one_bad_row_and_spoils_no_other(
    read: Read, row: bytes, reason: str, packing: str
) -> None:
    items = read(PACK[packing](GOOD + row + b'b,"t\n2",b\n'), ".csv" + packing)
    assert ids(items) == ["a", reason, "b"]
    assert numbers(items) == [1, 2, 3]


@pytest.mark.parametrize("rest", [1, 3000])
def test_a_quote_too_many_costs_one_row_and_not_those_that_it_swallows(
    read: Read, rest: int
) -> None:
    more = b"".join(b"p%d,t,b\n" % i for i in range(rest))
    assert ids(read(GOOD + b'x,"t,b\n' + more)) == ["a", "broken_row"] + [
        f"p{i}" for i in range(rest)
    ]


def test_a_quote_that_is_closed_far_away_is_given_up_after_the_limit(read: Read) -> None:
    more = b"".join(b"p%d,t,%s\n" % (i, b"y" * 100_000) for i in range(100))
    items = read(GOOD + b'x,"t,b\n' + more + b'y,"t",b\n')
    assert ids(items) == ["a", "broken_row", *(f"p{i}" for i in range(100)), "y"]


@pytest.mark.parametrize("suffix", [".csv.zst", ".csv.gz", ".json.zst", ".ndjson.gz"])
def test_a_cut_archive_gives_the_rows_before_the_cut(read: Read, suffix: str) -> None:
    rows = [
        {"id": f"p{i}", "title": "t\n", "text:": str(zlib.crc32(b"%d" % i))} for i in range(60_000)
    ]
    packed = written(rows, suffix)
    items = read(packed[: len(packed) // 2], suffix)
    good = next(i for i, found in enumerate(ids(items)) if found != f"p{i}")
    assert good > 1000
    assert "truncated_file" in ids(items[good:])
    assert set(ids(items[good:])) <= {"truncated_file", "broken_row", "wrong_columns", "not_json"}


@pytest.mark.parametrize(
    ("element", "reason"),
    [
        (b'{"id": "x" "title": 1}', "not_json"),
        (b"[1, {}]", "bad_field"),
        (b"7", "bad_field"),
        (b'"[{"', "bad_field"),
        (b"", "not_json"),
        (b'{"id": "x", "title": "caf\xe9", "text:": ""}', "bad_encoding"),
        (b'{"id": "x", "title": "' + b'\\"' * MAX_LINE + b'", "text:": ""}', "line_too_long"),
    ],
)
def test_a_broken_element_is_one_bad_row_and_spoils_no_other(
    read: Read, element: bytes, reason: str
) -> None:
    good = [json.dumps(ROW | {"id": name, "title": '\\"]},{'}).encode() for name in "ab"]
    items = read(b" [" + good[0] + b" ," + element + b",\n" + good[1] + b"] \n", ".json")
    assert ids(items) == ["a", reason, "b"]


@given(st.integers(0, 60))
@settings(deadline=None, max_examples=40)
def test_elements_are_the_same_wherever_a_block_ends(read: Read, before: int) -> None:
    rows = [ROW | {"id": "a", "title": '\\"\\\\"'}, ROW | {"id": "b", "text:": "[{,\\"}]
    gap = b" " * ((1 << 20) - before)
    items = read(b"[" + gap + json.dumps(rows)[1:].encode(), ".json")
    assert [item["title"] for item in items if isinstance(item, dict)] == ['\\"\\\\"', "t"]
    assert ids(items) == ["a", "b"]


@pytest.mark.parametrize(
    ("tail", "reason"), [(b", ", "truncated_file"), (b"] x", "not_json"), (b"}, {}]", "not_json")]
)
def test_an_array_that_ends_wrong_is_told(read: Read, tail: bytes, reason: str) -> None:
    assert ids(read(b"[" + json.dumps(ROW).encode() + tail, ".json")) == ["abc", reason]


def test_a_json_file_may_hold_lines_and_an_ndjson_file_an_array(read: Read) -> None:
    rows = [ROW | {"id": name} for name in "ab"]
    assert ids(read(written(rows, ".ndjson"), ".json")) == ["a", "b"]
    assert ids(read(b"\xef\xbb\xbf" + written(rows, ".json"), ".jsonl")) == ["a", "b"]


def test_a_byte_order_mark_and_blank_lines_before_the_header_are_passed_over(read: Read) -> None:
    assert ids(read(b"\xef\xbb\xbf\r\n" + GOOD)) == ["a"]


def test_limit_stops_after_that_many_rows(read: Read) -> None:
    for kind in KINDS:
        data = written([ROW | {"id": f"p{i}"} for i in range(5)], kind)
        assert ids(read(data, kind, limit=3)) == ["p0", "p1", "p2"]


@pytest.mark.parametrize("kind", KINDS)
def test_an_unknown_column_is_named_with_the_nearest_and_all_of_the_file(
    read: Read, kind: str
) -> None:
    data = written([{"id": "a", "titel": "t", "text:": "b"}], kind)
    with pytest.raises(BadInputError) as caught:
        read(data, kind)
    said = str(caught.value)
    assert f"posts{kind}: has no column 'title' (the mapping's title)" in said
    assert "did you mean 'titel'?" in said
    assert "'id', 'titel', 'text:'" in said
    assert "\n" not in said


def test_only_fields_that_the_mapping_calls_optional_may_be_missing(read: Read) -> None:
    mapping = dataclasses.replace(MAPPING, optional=MAPPING.optional[1:])
    with pytest.raises(BadInputError, match=r"no column 'when' \(the mapping's created"):
        one(read, mapping=mapping)


def test_two_columns_of_one_name_are_refused(read: Read) -> None:
    with pytest.raises(BadInputError, match=r"posts\.csv: has 2 columns 'title'"):
        read(b"id,title,title,text:\n")


@pytest.mark.parametrize(
    ("data", "suffix", "said"),
    [
        (GOOD, ".dat", r"posts\.dat: what kind of file"),
        (GOOD.decode().encode("utf-16"), ".csv", "header is not UTF-8"),
        (GOOD.decode().encode("utf-16-le"), ".csv", "header is not UTF-8"),
        (b'id,"title', ".csv", "header cannot be read"),
        (b"", ".csv", "holds no row"),
        (b"id,title,text:\n", ".csv", "holds no row"),
        (b"[]", ".json", "holds no row"),
        (b"no archive", ".csv.zst", "not readable as zstd"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_by_name(
    read: Read, data: bytes, suffix: str, said: str
) -> None:
    with pytest.raises(BadInputError, match=said):
        read(data, suffix)


COLUMNS = 'columns = {id="a", title="b", body="c", subreddit="d"}'


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("html_escaped = true\n" + COLUMNS, "m.about: missing"),
        (f'about = ""\nhtml_escaped = 1\n{COLUMNS}', "m.html_escaped: Input should be .* boolean"),
        (f'about = ""\nhtml_escapd = true\n{COLUMNS}', "did you mean 'html_escaped'"),
        (
            'about = ""\nhtml_escaped = true\ncolumns = {id="a", titel="b", body="c"}',
            "m.columns.titel: unknown key; did you mean 'title'",
        ),
        (
            'about = ""\nhtml_escaped = true\ncolumns = {id="a", title="b", body="c"}',
            "say in one way what the subreddit is",
        ),
        (
            f'about = ""\nhtml_escaped = true\nsubreddit = "x"\n{COLUMNS}',
            "say in one way what the subreddit is",
        ),
        (f'about = ""\nhtml_escaped = true\noptional = ["scor"]\n{COLUMNS}', "'scor' has no col"),
        ("about = ", "not valid TOML"),
    ],
)
def test_a_wrong_mapping_is_refused_by_place(tmp_path: Path, entry: str, said: str) -> None:
    path = tmp_path / "mappings.toml"
    path.write_text(f"[m]\n{entry}\n")
    with pytest.raises(BadInputError, match=said) as caught:
        load_mapping("m", path)
    assert str(path) in str(caught.value)


def test_an_unknown_mapping_is_named_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="no mapping 'umbra'; did you mean 'umbrae'"):
        load_mapping("umbra")
    with pytest.raises(BadInputError, match=r"absent\.toml: no such file of column mappings"):
        load_mapping("umbra", tmp_path / "absent.toml")


DOCUMENT = (ROOT / "docs" / "sources.md").read_text(encoding="utf-8")


def section(heading: str) -> str:
    return re.split(r"^#+ ", DOCUMENT.partition(f"# {heading}\n")[2], flags=re.MULTILINE)[0]


def test_the_document_lists_every_mapping_and_every_reason() -> None:
    listed = re.compile(r"^\| `([a-z_-]+)` \|", re.MULTILINE)
    assert set(listed.findall(section("An export"))) == set(load_mappings())
    code = "".join(p.read_text() for p in (ROOT / "pipeline" / "sources").glob("*.py"))
    given_reasons = set(re.findall(r'BadLine\(\s*\w+,\s*"(\w+)"', code))
    given_reasons |= {"no_id", "duplicate_id", "tombstoned"}
    assert set(listed.findall(section("What is set aside"))) == given_reasons


def test_the_example_of_the_document_reads_as_it_says(tmp_path: Path) -> None:
    text, toml = re.findall(r"```(?:text|toml)\n(.*?)```", section("Writing a mapping"), re.DOTALL)
    (tmp_path / "answers.csv").write_text(text, encoding="utf-8")
    (tmp_path / "mappings.toml").write_text(toml, encoding="utf-8")
    mapping = load_mapping("answers", tmp_path / "mappings.toml")
    (post,) = read_export(tmp_path / "answers.csv", mapping, Wanted({"askhr": "career"}, True))
    assert isinstance(post, dict)
    assert (post["post_id"], post["subreddit"], post["score"]) == ("abc123", "AskHR", 12)
    assert (post["body"], post["removal"]) == ("A story, with a comma", "none")
