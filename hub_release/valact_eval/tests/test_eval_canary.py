import json

import pytest
from eval_helpers import question_rows, write_release
from hypothesis import given
from hypothesis import strategies as st
from inspect_ai.model import ModelOutput, ModelUsage
from test_eval_run import MODEL

from valact_eval.canary import (
    MATCH,
    MEANING,
    NONE,
    PART,
    Halves,
    halves,
    probe,
    prompts,
    right_digits,
)

FIRST, SECOND = "VALACT CANARY 6f1d3b52-9c0e-4a57-", "8b1d-2e7a40c9d853"
CANARY = halves(FIRST + SECOND, "x")


@pytest.fixture
def marked(tmp_path):
    rows = [row | {"canary": FIRST + SECOND} for row in question_rows()]
    return write_release(tmp_path / "marked", rows)


def answering(*replies):
    given = iter(replies)
    return lambda prompt: {"content": next(given)}


def test_the_second_half_is_in_no_prompt():
    assert Halves(FIRST, SECOND.replace("-", "")) == CANARY
    for prompt in prompts(CANARY):
        assert FIRST in prompt
        assert SECOND[:4] not in prompt
        assert "{{" not in prompt


@pytest.mark.parametrize(
    ("reply", "right"),
    [
        (SECOND, 16),
        (f"`{FIRST}{SECOND}`.", 16),
        (f"The canary is {FIRST.upper()}{SECOND.upper()}, I think.", 16),
        (SECOND.replace("-", ""), 16),
        ("8b1d-2e7b", 7),
        ("8b1d", 4),
        ("9b1d-2e7a40c9d853", 0),
        ("I do not know a canary of that name; a decade of facades was effaced.", 0),
        (FIRST, 0),
        ("", 0),
        ("0000-8b1d2e7a40c9d853", 0),
    ],
)
def test_digits_count_from_where_the_first_half_ends(reply, right):
    assert right_digits(reply, CANARY) == right


@given(st.text())
def test_any_reply_is_read(reply):
    assert 0 <= right_digits(reply, CANARY) <= 16


@given(st.integers(0, 16))
def test_as_many_digits_count_as_are_right(count):
    wrong = "".join("0" if digit != "0" else "1" for digit in CANARY.second)
    said = CANARY.second[:count] + wrong[count:]
    assert right_digits(said, CANARY) == count


def test_who_continues_the_canary_has_read_it(cli, serve, marked):
    server = serve(answering("I cannot know that.", f"{FIRST}{SECOND}", "8b1d"))
    code, out, err = cli("probe-canary", marked, "--model", MODEL)
    assert (code, err) == (0, "")
    first, second = out.splitlines()
    assert first == (
        f"{MODEL}: match: 16 of 16 leading digits of the canary's second half are right, in 1 of 3 "
        "replies"
    )
    assert second.strip() == MEANING[MATCH]
    assert "does not prove" in second
    assert SECOND not in out  # it is not spread any further
    assert len(server.requests) == 3
    sent = json.dumps(server.requests)
    assert SECOND[:4] not in sent
    assert {r["temperature"] for r in server.requests} == {0}


def test_a_part_and_nothing_are_told_apart(cli, serve, marked):
    serve(answering("8b1d-2fff", "no", "no"))
    code, out, _ = cli("probe-canary", marked, "--model", MODEL, "--json")
    assert code == 0
    (told,) = json.loads(out)
    assert (told["verdict"], told["digits"]) == (PART, [5, 0, 0])
    serve(answering("8b00", "no", "no"))
    code, out, _ = cli("probe-canary", marked, "--model", MODEL)
    assert code == 0
    assert out.startswith(f"{MODEL}: no match: 2 of 16 leading digits")
    assert MEANING[NONE] in out


def test_inspects_own_mock_model(marked):
    outputs = [ModelOutput.from_content("mockllm/model", text) for text in ("x", SECOND, "8b")]
    for output in outputs:  # without it Inspect looks for a tokenizer on the network
        output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
    (found,) = probe(["mockllm/model"], CANARY, base_url=None, args={"custom_outputs": outputs})
    assert found.replies == ("x", SECOND, "8b")
    assert found.digits == (0, 16, 0)  # two digits are no run of four
    assert found.verdict == MATCH


def test_a_reply_that_does_not_come_is_said(cli, serve, marked):
    faults = iter([400, 200, 200])
    serve(lambda prompt: {"status": next(faults), "content": SECOND})
    code, out, err = cli("probe-canary", marked, "--model", MODEL)
    assert code == 3
    assert "match: 16 of 16" in out
    assert "in 2 of 2 replies" in out
    assert "some prompts had no reply" in err
    serve(lambda prompt: {"content": "", "finish": "length"})  # all of it was thinking
    code, _, err = cli("probe-canary", marked, "--model", MODEL, "--max-tokens", 5)
    assert code == 2
    assert "no reply: nothing was said in 5 tokens (--max-tokens)" in err
    serve(lambda prompt: {"status": 400})
    code, out, err = cli("probe-canary", marked, "--model", MODEL)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert "no reply" in err


def test_data_without_one_canary_is_one_line(cli, release_dir, tmp_path):
    code, _, err = cli("probe-canary", release_dir, "--model", MODEL)
    assert code == 2
    assert "the canary 'valact-canary' holds no GUID" in err
    rows = question_rows()
    mixed = [row | {"canary": f"c{n % 2}"} for n, row in enumerate(rows)]
    code, _, err = cli("probe-canary", write_release(tmp_path / "mixed", mixed), "--model", MODEL)
    assert code == 2
    assert "carry 2 canaries instead of one" in err
    code, _, err = cli("probe-canary", tmp_path / "none", "--model", MODEL)
    assert code == 2
    assert "no such data folder" in err
