"""Plain, gzip and zstd files give every line that stands before what is wrong with them."""

from __future__ import annotations

import gzip
import io
import re
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import BadInputError
from pipeline.paths import ROOT
from pipeline.sources.dump import read_dump
from pipeline.sources.post import Wanted
from pipeline.sources.unpack import MAX_LINE
from tests.dump_lines import DOMAINS, FORMATS, PACK, Read, ids, line, many, numbers, reader


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Read:
    return reader(tmp_path_factory.mktemp("dump"))


@FORMATS
def test_a_byte_order_mark_is_no_part_of_the_first_line(read: Read, suffix: str) -> None:
    assert ids(read(PACK[suffix](b"\xef\xbb\xbf" + line("a")), suffix)) == ["a"]


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
