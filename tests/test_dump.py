"""Every line of a dump ends as one post or one BadLine, whatever the file holds."""

from __future__ import annotations

import gzip
import html
import io
import json
import re
import subprocess
import sys
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
from pipeline.sources.dump import read_dump
from pipeline.sources.post import BadLine, Wanted
from pipeline.sources.unpack import MAX_LINE

Read = Callable[..., list[dict[str, Any] | BadLine]]
PACK: dict[str, Callable[[bytes], bytes]] = {
    ".ndjson": bytes,
    ".gz": gzip.compress,
    ".zst": zstandard.compress,
}
FORMATS = pytest.mark.parametrize("suffix", PACK)
DOMAINS = {"askhr": "career", "frugal": "finance"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
).filter(lambda value: "Infinity" not in json.dumps(value))

NUMBER = st.integers() | st.floats() | st.floats().map(str)


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Read:
    """Return a function that writes bytes to a file of this suffix and reads them as a dump."""
    folder = tmp_path_factory.mktemp("dump")

    def run(
        data: bytes, suffix: str = ".ndjson", limit: int = 0, **options: Any
    ) -> list[dict[str, Any] | BadLine]:
        path = folder / f"posts{suffix}"
        path.write_bytes(data)
        wanted = Wanted(DOMAINS, **({"html_escaped": True} | options))
        return list(read_dump(path, wanted, limit))

    return run


def line(post_id: str = "a", **fields: Any) -> bytes:
    post = {"id": post_id, "subreddit": "AskHR", "title": "t", "selftext": "b"} | fields
    return json.dumps({name: value for name, value in post.items() if value is not ...}).encode()


def ids(items: list[dict[str, Any] | BadLine]) -> list[str]:
    """Return each item as the id of its post, or as the reason of its bad line."""
    return [item.reason if isinstance(item, BadLine) else item["post_id"] for item in items]


def numbers(items: list[dict[str, Any] | BadLine]) -> list[int]:
    return [item.line if isinstance(item, BadLine) else item["source_line"] for item in items]


def many(count: int) -> list[bytes]:
    """Return lines that compress badly, so that a cut file is cut in the middle of posts."""
    return [
        line(f"p{i}", noise=[zlib.crc32(b"%d %d" % (i, j)) for j in range(8)]) for i in range(count)
    ]


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


@FORMATS
def test_a_byte_order_mark_is_no_part_of_the_first_line(read: Read, suffix: str) -> None:
    assert ids(read(PACK[suffix](b"\xef\xbb\xbf" + line("a")), suffix)) == ["a"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_a_file_in_another_encoding_is_counted_as_such(read: Read, encoding: str) -> None:
    data = b"\n".join([line("a"), line("b"), line("c")]).decode().encode(encoding)
    assert set(ids(read(data))) == {"bad_encoding"}


def test_limit_stops_after_that_many_lines(read: Read) -> None:
    data = b"\n".join([line("a"), b"nonsense", line("b"), line("c")])
    assert ids(read(data, limit=3)) == ["a", "not_json", "b"]
    assert ids(read(data, limit=0)) == ["a", "not_json", "b", "c"]


@FORMATS
@pytest.mark.parametrize("over", [1, 1 << 21])
def test_a_line_over_the_limit_is_reported_and_the_next_ones_are_read(
    read: Read, suffix: str, over: int
) -> None:
    def sized(name: str, size: int) -> bytes:
        return line(name, x="y" * (size - len(line(name, x=""))))

    lines = [line("a"), sized("full", MAX_LINE), sized("over", MAX_LINE + over), line("b")]
    lines += [sized("over", MAX_LINE + over)]
    items = read(PACK[suffix](b"\n".join(lines)), suffix)
    assert ids(items) == ["a", "full", "line_too_long", "b", "line_too_long"]
    assert numbers(items) == [1, 2, 3, 4, 5]


def test_zstd_with_the_two_gibibyte_window_of_the_published_dumps(read: Read) -> None:
    small = {"hash_log": 12, "chain_log": 12, "ldm_hash_log": 12}  # little memory
    wide = zstandard.ZstdCompressionParameters(window_log=31, enable_ldm=True, **small)
    packer = zstandard.ZstdCompressor(compression_params=wide).compressobj()
    packed = packer.compress(b"\n".join(many(50))) + packer.flush()
    assert zstandard.get_frame_parameters(packed).window_size == 1 << 31
    assert ids(read(packed, ".zst")) == [f"p{i}" for i in range(50)]


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_frames_end_anywhere_even_inside_a_line(read: Read, suffix: str) -> None:
    whole = b"\n".join(many(20))
    parts = [whole[:5], whole[5:6], b"", whole[6:900], whole[900:]]
    assert b"".join(parts) == whole
    items = read(b"".join(PACK[suffix](part) for part in parts), suffix)
    assert ids(items) == [f"p{i}" for i in range(20)]


def recovered(data: bytes, suffix: str) -> bytes:
    """Return what a forgiving reader can still unpack of a cut archive."""
    if suffix == ".gz":
        return zlib.decompressobj(wbits=31).decompress(data)
    reader = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data), read_across_frames=True)
    return reader.read()


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
@pytest.mark.parametrize("count", [3_000, 20_000])
@pytest.mark.parametrize("share", [0.5, 1.0])
def test_a_truncated_archive_gives_the_posts_before_the_cut(
    read: Read, suffix: str, count: int, share: float
) -> None:
    packed = PACK[suffix](b"\n".join(many(count)) + b"\n")
    cut = packed[: min(int(len(packed) * share), len(packed) - 2)]
    whole_lines = recovered(cut, suffix).count(b"\n")
    assert whole_lines > count * share / 2
    items = read(cut, suffix)
    assert ids(items)[:whole_lines] == [f"p{i}" for i in range(whole_lines)]
    assert ids(items[whole_lines:]) in (["truncated_file"], ["not_json", "truncated_file"])
    assert numbers(items) == list(range(1, len(items) + 1))


def test_a_broken_frame_keeps_the_frames_before_it(read: Read) -> None:
    first, second = (zstandard.compress(b"\n".join(many(9)) + b"\n") for _ in range(2))
    broken = first + second[:4] + b"\xff" * 20
    assert ids(read(broken, ".zst")) == [f"p{i}" for i in range(9)] + ["broken_archive"]


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_break_in_the_first_mebibyte_keeps_the_lines_before_it(
    read: Read, suffix: str, share: float
) -> None:
    data = b"\n".join(many(9_000)) + b"\n"
    signed = zstandard.ZstdCompressor(write_checksum=True).compress  # as the command does
    packed = bytearray(signed(data) if suffix == ".zst" else gzip.compress(data))
    assert len(packed) < 1 << 20
    at = int(len(packed) * share)
    packed[at : at + 40] = b"\xff" * 40
    items = read(bytes(packed), suffix)
    good = next(i for i, found in enumerate(ids(items)) if found != f"p{i}")
    assert good > 9_000 * share - (100 if suffix == ".gz" else 1_500)  # a zstd block is lost whole
    assert ids(items)[-1] == "broken_archive"


def test_a_wrong_checksum_is_told_and_every_line_kept(read: Read) -> None:
    data = b"\n".join(many(50)) + b"\n"
    signed = zstandard.ZstdCompressor(write_checksum=True).compress(data)
    for suffix, packed in ((".zst", signed), (".gz", gzip.compress(data))):
        wrong = packed[:-4] + bytes(4) if suffix == ".zst" else packed[:-8] + bytes(8)
        assert ids(read(wrong, suffix)) == [f"p{i}" for i in range(50)] + ["broken_archive"]


def test_skippable_frames_and_padding_are_passed_over(read: Read) -> None:
    skip = b"\x53\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"hello"
    first, second = zstandard.compress(line("a") + b"\n"), zstandard.compress(line("b"))
    assert ids(read(skip + first + skip + second + skip, ".zst")) == ["a", "b"]
    assert ids(read(first + skip[:-1], ".zst")) == ["a", "truncated_file"]
    packed = gzip.compress(line("a") + b"\n") + bytes(700) + gzip.compress(line("b")) + bytes(9)
    assert ids(read(packed, ".gz")) == ["a", "b"]


@given(st.integers(0, 400), st.binary(min_size=1, max_size=4), st.sampled_from([".gz", ".zst"]))
@settings(deadline=None, max_examples=150)
def test_whatever_is_altered_the_lines_before_it_stay_as_they_are(
    read: Read, at: int, noise: bytes, suffix: str
) -> None:
    """In archives of one frame a line: what is broken cannot reach the frames before it."""
    frames = [PACK[suffix](text + b"\n") for text in many(4)]
    whole = b"".join(frames)
    at %= len(whole)
    altered = whole[:at] + noise + whole[at + len(noise) :]
    sound = sum(sum(map(len, frames[: i + 1])) <= at for i in range(4))
    try:
        items = read(altered, suffix)
    except BadInputError:
        assert sound == 0
    else:
        assert ids(items)[:sound] == [f"p{i}" for i in range(sound)]
        assert numbers(items) == list(range(1, len(items) + 1))


def zstd_frame(*blocks: bytes) -> bytes:
    """Return a frame with a window of 2 MiB around these blocks."""
    return b"\x28\xb5\x2f\xfd\x00\x58" + b"".join(blocks)


def raw_block(data: bytes, *, last: bool = False) -> bytes:
    return (len(data) << 3 | last).to_bytes(3, "little") + data


@pytest.mark.parametrize("sound", [1, 3, 30, 31, 32, 40])
def test_every_block_before_a_broken_one_is_kept_however_many_are_unpacked_at_once(
    read: Read, sound: int
) -> None:
    some = [raw_block(line(f"p{i}", noise="n" * 100_000) + b"\n") for i in range(64)]
    broken = (4 << 3 | 2 << 1).to_bytes(3, "little") + b"\xff" * 4
    items = read(zstd_frame(raw_block(b""), *some[:sound], broken, *some[sound:]), ".zst")
    assert ids(items) == [f"p{i}" for i in range(sound)] + ["broken_archive"]


def bomb(suffix: str, size: int) -> bytes:
    """Return an archive of a post, a line of `size` MiB of zeros, and another post."""
    first, second = line("a") + b"\n", b"\n" + line("b")
    if suffix == ".zst":
        zeros = ((1 << 17) << 3 | 2).to_bytes(3, "little") + b"0"  # 4 bytes for 128 KiB
        return zstd_frame(raw_block(first), zeros * (8 * size), raw_block(second, last=True))
    packer = zlib.compressobj(9, wbits=31)
    mebibyte = b"0" * (1 << 20)
    parts = [packer.compress(part) for part in (first, *[mebibyte] * size, second)]
    return b"".join(parts) + packer.flush()


@pytest.mark.parametrize("suffix", [".zst", ".gz"])
def test_a_bomb_is_one_long_line_and_takes_little_memory(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"bomb.ndjson{suffix}"
    path.write_bytes(bomb(suffix, size=1024 if suffix == ".zst" else 256))
    assert path.stat().st_size < 1_100_000
    script = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from pipeline.sources.dump import read_dump\n"
        "from pipeline.sources.post import Wanted\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = peak()\n"
        "wanted = Wanted({'askhr': 'career'}, html_escaped=True)\n"
        "for item in read_dump(Path(sys.argv[1]), wanted):\n"
        "    print(getattr(item, 'reason', None) or item['post_id'])\n"
        "print((peak() - before) // (1024 if sys.platform == 'linux' else 1 << 20))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    *found, mebibytes = done.stdout.split()
    assert found == ["a", "line_too_long", "b"]
    assert int(mebibytes) < 100


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_a_packed_file_may_lack_its_suffix(read: Read, suffix: str) -> None:
    assert ids(read(PACK[suffix](line("a")), ".dump")) == ["a"]


@pytest.mark.parametrize("suffix", [".bz2", ".xz"])
def test_other_packers_are_refused_by_name(read: Read, suffix: str) -> None:
    with pytest.raises(BadInputError, match=re.escape(f"posts{suffix}: is not read packed")):
        read(b"BZh9", suffix)


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_an_archive_that_is_none_is_refused_by_name(read: Read, suffix: str) -> None:
    with pytest.raises(BadInputError, match=re.escape(f"posts{suffix}: not readable as")):
        read(line("a") + b"\n" + line("b"), suffix)


@FORMATS
@pytest.mark.parametrize("packed", [True, False])
def test_a_file_without_a_line_is_refused_by_name(read: Read, suffix: str, packed: bool) -> None:
    with pytest.raises(BadInputError, match=re.escape(f"posts{suffix}: holds no line")):
        read(PACK[suffix](b"") if packed else b"", suffix)


@pytest.mark.parametrize("name", ["absent.zst", "absent/posts.gz", "folder", "file/posts.ndjson"])
def test_a_path_without_a_readable_file_is_refused_by_name(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("x")
    with pytest.raises(BadInputError, match=re.escape(str(tmp_path / name))):
        list(read_dump(tmp_path / name, Wanted(DOMAINS, html_escaped=True)))


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
