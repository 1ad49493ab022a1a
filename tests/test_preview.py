"""Previews: what a respondent sees, what stays out of sight, and texts that are only shown."""

from __future__ import annotations

import io
import re
import unicodedata
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from rich.console import Console

from pipeline.dist import table_path, write_table
from pipeline.errors import BadInputError, StageError
from pipeline.preview import ASKED, Question, choose, print_question, write_page
from tests.conftest import command

SCRIPT = "<script>alert('1')</script><img src=x onerror=alert(2)>"
ESCAPES = "\x1b[31mred\x1b[0m\x07 a\u202eb\x9b2J\x00"
VALUES = ["power", "security", "hedonism", "tradition"]


def row(number: int, **changes: Any) -> dict[str, Any]:
    """Return a row of a release's questions, with what a preview reads."""
    return {
        "question_id": f"q_{number:016x}",
        "domain": "career",
        "slot": number,
        "scenario": f"My employer moves.\n\nDo I go along, for the {number}th time?",
        "options": [f"I do thing {number}{letter}." for letter in "abcd"],
        "option_values": VALUES,
        "option_generators": ["g-one", "g-two", "g-two", "g-one"],
        "target_value": "hedonism",
        **changes,
    }


def release(folder: Path, *rows: dict[str, Any]) -> Path:
    write_table(folder, "questions", pl.DataFrame(list(rows)))
    return folder


def printed(question: Question, width: int = 80) -> str:
    out = io.StringIO()
    print_question(question, Console(file=out, width=width, color_system=None))
    return out.getvalue()


def unseen(text: str) -> set[str]:
    bad = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    return {c for c in text if unicodedata.category(c) in bad} - {"\n"}


class Page(HTMLParser):
    """A page's tags with their attributes, and its text inside and outside of <details>."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.seen, self.hidden, self._closed, self._style = "", "", 0, False
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._closed += tag == "details"
        self._style = tag == "style"

    def handle_endtag(self, tag: str) -> None:
        self._closed -= tag == "details"
        self._style = False

    def handle_data(self, data: str) -> None:
        if self._closed:
            self.hidden += data
        elif not self._style:
            self.seen += data

    def attributes(self) -> set[str]:
        return {name for _, attributes in self.tags for name in attributes}

    def names(self) -> list[str]:
        return [name for name, _ in self.tags]


def page_of(tmp_path: Path, *questions: Question) -> Page:
    path = tmp_path / "preview.html"
    write_page(questions, path)
    return Page(path)


def test_one_question_is_the_first_or_the_one_that_is_named(tmp_path: Path) -> None:
    dist = release(tmp_path / "dist", *(row(n) for n in (3, 1, 2)))
    assert [q.question_id for q in choose(dist)] == [row(3)["question_id"]]
    assert [q.question_id for q in choose(dist, row(2)["question_id"])] == [row(2)["question_id"]]
    (question,) = choose(dist)
    assert [o.letter for o in question.options] == ["A", "B", "C", "D"]
    assert [o.text for o in question.options] == row(3)["options"]
    assert [o.value for o in question.options] == VALUES
    assert [o.target for o in question.options] == [False, False, True, False]


def test_several_are_drawn_by_their_ids_whatever_their_order(tmp_path: Path) -> None:
    numbers = range(40)
    one = release(tmp_path / "one", *(row(n) for n in numbers))
    other = release(tmp_path / "other", *(row(n) for n in reversed(numbers)))
    few, more, all_of_them = ([q.question_id for q in choose(one, count=n)] for n in (3, 10, 1000))
    assert [q.question_id for q in choose(other, count=10)] == more
    assert more[:3] == few
    assert more != [row(n)["question_id"] for n in numbers][:10]
    assert sorted(all_of_them) == [row(n)["question_id"] for n in numbers]


def test_a_respondent_sees_neither_values_nor_generators_nor_the_target(tmp_path: Path) -> None:
    (question,) = choose(release(tmp_path / "dist", row(5)))
    seen, behind = printed(question).split("Behind the options (a respondent does not see this):")
    page = page_of(tmp_path, question)
    for shown in (seen, page.seen):
        for text in ("My employer moves.", "for the 5th time?", ASKED, *row(5)["options"]):
            assert text in shown
        assert re.findall(r"\b[A-D]\b", shown.partition(ASKED)[2]) == ["A", "B", "C", "D"]
        for secret in (*VALUES, "g-one", "g-two", "target"):
            assert secret not in shown
    assert "C  hedonism · g-two · target\n" in re.sub(" +\n", "\n", behind)
    assert behind.count("target") == page.hidden.count("(target)") == 1
    assert "C (target)" in page.hidden
    for secret in (*VALUES, "g-one", "g-two"):
        assert secret in behind
        assert secret in page.hidden
    assert ("details", {}) in page.tags  # closed


def test_a_page_is_one_file_and_each_question_has_answers_of_its_own(tmp_path: Path) -> None:
    questions = choose(release(tmp_path / "dist", *(row(n) for n in range(3))), count=3)
    page = page_of(tmp_path, *questions)
    assert not {"src", "href", "action", "onclick"} & page.attributes()
    assert not {"script", "link", "iframe", "object"} & set(page.names())
    assert page.names().count("form") == page.names().count("details") == 3
    inputs = [attributes for name, attributes in page.tags if name == "input"]
    assert [i["value"] for i in inputs] == list("ABCD") * 3
    policy = next(a for _, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert str(policy["content"]).startswith("default-src 'none'")
    assert "Preview: 3 questions" in page.seen
    assert ("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}) in (
        page.tags
    )
    again = tmp_path / "again.html"
    write_page(questions, again)
    assert again.read_bytes() == (tmp_path / "preview.html").read_bytes()


def test_texts_of_posts_and_models_are_shown_and_not_obeyed(tmp_path: Path) -> None:
    text = f"{SCRIPT} [bold]no[/bold] [/] :smile: {{{{ 7*7 }}}} </textarea> &amp; {ESCAPES}"
    nasty = row(
        1,
        scenario=f"{text}\n\nWhat now?",
        options=[text, f"{text}\n(E) Pick this one.", "I leave.", "I stay."],
        option_generators=[text] * 4,
        domain=text,
    )
    (question,) = choose(release(tmp_path / "dist", nasty))
    shown = printed(question, width=400)
    page = page_of(tmp_path, question)
    raw = (tmp_path / "preview.html").read_bytes().decode()
    assert not unseen(shown)
    assert not unseen(raw)
    plain = "[bold]no[/bold] [/] :smile: {{ 7*7 }} </textarea> &amp; \\x1b[31mred\\x1b[0m\\x07"
    for seen in (shown, page.seen):
        assert f"{SCRIPT} {plain}" in seen
        assert "a\\u202eb\\x9b2J" in seen
        assert "\\n(E) Pick this one." in seen  # no line of its own
    assert not {"script", "img", "textarea"} & set(page.names())
    assert not {"src", "onerror"} & page.attributes()
    assert page.names().count("label") == 4


def test_a_release_without_texts_says_where_they_come_from(tmp_path: Path) -> None:
    (question,) = choose(release(tmp_path / "dist", row(1, scenario="")))
    assert "python -m pipeline hydrate" in printed(question)
    assert "python -m pipeline hydrate" in page_of(tmp_path, question).seen


@pytest.mark.parametrize(
    "changes",
    [
        {"options": ["I do.", "I leave."]},
        {"option_values": None},
        {"scenario": 4},
    ],
)
def test_a_table_that_holds_no_questions_is_one_line(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    dist = release(tmp_path / "dist", row(1, **changes))
    with pytest.raises(BadInputError, match=r"test-\w+\.parquet: not a table of questions"):
        choose(dist)


def test_what_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="build it with `make build-dataset`"):
        choose(tmp_path)
    dist = release(tmp_path / "dist", row(1))
    with pytest.raises(BadInputError, match=r"q_2: no such question in .*\.parquet"):
        choose(dist, "q_2")
    path = table_path(dist, "questions")
    path.write_bytes(b"PAR1 no more")
    with pytest.raises(BadInputError, match="not a table of questions"):
        choose(dist)
    path.unlink()
    empty = pl.DataFrame([row(1)]).clear()
    (dist / "data" / "questions").rmdir()
    write_table(dist, "questions", empty)
    with pytest.raises(BadInputError, match="no such question"):
        choose(dist)


def test_the_command_prints_or_writes_a_page(tmp_path: Path) -> None:
    dist = release(tmp_path / "dist", *(row(n) for n in range(5)))
    at, page = f"--dist={dist}", tmp_path / "page.html"
    shown = command("preview", at, "--count=2")
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.count(ASKED) == 2
    done = command("preview", row(4)["question_id"], at, f"--html={page}")
    assert done.stdout == f"{page}: 1 question of {dist}\n"
    assert "for the 4th time?" in Page(page).seen
    for arguments, said in (
        ((row(4)["question_id"], "--count=2"), "give a question id or --count, not both"),
        (("q_\x1b[2J",), r"q_\x1b[2J: no such question in "),
        ((f"--html={tmp_path / 'no' / 'page.html'}",), "there is no folder"),
        (("--count=0",), "--count"),
    ):
        done = command("preview", *arguments, at)
        assert done.returncode == 2
        assert done.stdout == ""
        assert done.stderr.startswith("error: ")
        assert said in done.stderr
        assert done.stderr.count("\n") == 1
        assert not unseen(done.stderr)
