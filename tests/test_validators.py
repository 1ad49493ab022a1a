"""Every reason code says yes where it should and no where it nearly should."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.config_actions import ValidateConfig
from pipeline.paths import ROOT
from pipeline.validators import CODES, FORM, ActionRow, Violation, check
from pipeline.validators.content import language, personal_data, refusal, value_word
from pipeline.validators.form import empty, first_person, length, placeholder, sentences
from pipeline.validators.harm import harmful
from pipeline.validators.reasons import benefit_clause
from pipeline.validators.rows import Alone
from pipeline.validators.sentences import split
from pipeline.validators.sets import (
    distinct,
    on_scenario,
    repeated,
    ten_values,
)
from pipeline.values import load_values, value_ids

ALONE: tuple[Alone, ...] = (
    *(empty, placeholder, first_person, sentences, length),
    *(benefit_clause, value_word, refusal, harmful),
)


def found(validator: Alone, action: str, value: str = "power") -> Violation | None:
    violation = validator(ActionRow("s", value, action), ValidateConfig())
    assert violation is None or (violation.code == validator.__name__ and violation.detail)
    return violation


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("...", 0),
        ("I leave", 1),
        ("I leave. I call her.", 2),
        ("I leave! Do I call her? I cry.", 3),
        ("I call Dr. Meyer at 9 a.m. and ask for advice.", 1),
        ("I call Dr. Meyer at 9 a.m. Then I ask for advice.", 2),
        ("I go to bed at 10 p.m. My wife stays up.", 2),
        ("I stay at St. Mary's until 5 p.m. on Friday.", 1),
        ("I ask Mrs. A. Jones vs. the rest of the board.", 1),
        ("I write to Acme Inc. and to its owner.", 1),
        ("I visit J. Smith in the U.S. and stay.", 1),
        ("I choose plan B. I call him.", 2),
        ("So do I. Then we go.", 2),
        ("I say no. Then I leave.", 2),
        ("I read no. 5 on the list and sign.", 1),
        ("I pay 3.5 percent more, e.g. in cash, and move on.", 1),
        ("I pay 500. Then I leave.", 2),
        ("I take the bread, the milk, etc. I go home.", 2),
        ("I wait... and then I call her.", 1),
        ("I wait... Then I call her.", 2),
        ("I wait\u2026 then I call.", 1),
        ('I tell her, "No. I will not sign."', 1),
        ('I tell her, "No. I will not sign." Then I leave.', 2),
        ("I tell her \u201cStop! Go home.\u201d and close the door.", 1),
        ('"Are you fine?" I ask her.', 1),
        ('I say "yes." She smiles.', 2),
        ("I ask, 'Why?' and wait.", 1),
        ("I ask (twice!) for the lease.", 1),
        ("I leave.Then I call her.", 2),
        ("I leave. i call her.", 2),
        ("I go to gov.uk and file a claim.", 1),
        ("I leave\nI call", 2),
        ("I leave.\n\nI call.", 2),
        ("1. I call her. 2. I leave.", 2),
        ('I say "yes and leave. Then I call.', 2),  # a quotation that never ends
    ],
)
def test_sentences_are_counted(text: str, count: int) -> None:
    assert len(split(text)) == count
    assert (found(sentences, text) is not None) == (count > 2)


SENTENCES = st.sampled_from(
    [
        "I call Dr. Meyer.",
        "I pay 3.5 percent more.",
        "Then I leave!",
        'She asks, "Why? How?" and waits.',
        "On Monday I ask Mrs. Jones, e.g. by mail, for the lease...",
        "He stays until 5 p.m. on Friday.",
    ]
)


@given(st.lists(SENTENCES, max_size=6))
def test_as_many_sentences_are_counted_as_were_written(some: list[str]) -> None:
    assert split(" ".join(some)) == some


@given(st.text())
def test_a_split_loses_no_word(text: str) -> None:
    kept = "".join("".join(split(text)).split())
    assert [c for c in kept if c.isalnum()] == [c for c in text if c.isalnum()]


@settings(max_examples=200, deadline=None)
@given(st.text(), st.sampled_from(value_ids()))
def test_no_text_breaks_a_validator(text: str, value: str) -> None:
    for validator in ALONE:
        found(validator, text, value)


@pytest.mark.parametrize("piece", ["a", "I ", "a.", "so the ", ", as a ", '"', "to ", "(", "\n- "])
def test_long_texts_take_no_long_time(piece: str) -> None:
    text, start = piece * 5000, time.perf_counter()
    for validator in ALONE:
        found(validator, text)
    assert time.perf_counter() - start < 10


@pytest.mark.parametrize("text", ["", " \n", "...", "\u2014 !", "___"])
def test_empty(text: str) -> None:
    assert found(empty, text)
    (violations,) = check([ActionRow("s", "power", text)])
    assert [violation.code for violation in violations] == ["empty", "ten_values"]


@pytest.mark.parametrize("text", ["I", "7", "No.", "\u00e9"])
def test_not_empty(text: str) -> None:
    assert not found(empty, text)


@pytest.mark.parametrize(
    "text",
    [
        "I talk to [name] about the lease.",
        "I tell <person> the truth.",
        "<action>I leave.</action>",
        "I tell {{ name }} the truth.",
        "I tell {name} the truth.",
        '{"power": "I leave."}',
        '"power": "I leave."',
        "**I leave** the house.",
        "I *really* leave the house.",
        "# I leave",
        "`I leave`",
        "- I leave the house.",
        "1. I leave the house.",
        "a) I leave the house.",
        "\u2022 I leave the house.",
        "I leave.\n- I call her.",
        "Power: I leave the house.",
        "Action: I leave the house.",
        "I leave\\nthe house.",
        "I leave &amp; call her.",
        "I leave the house and",
        "I call her, leave,",
        "I do these things:",
        "TODO",
        "N/A",
        "none",
        "I leave. TBD",
        "I say <|im_end|>",
        "I leave \ufffd the house.",
        "> I leave the house.",
        "I ask her for a loan and,.",
        "I save the money for the.",
        "I call my mother and my",
    ],
)
def test_placeholder(text: str) -> None:
    assert found(placeholder, text)


@pytest.mark.parametrize(
    "text",
    [
        "I go to the bar & grill with her.",
        "I pay $50 (half of it) at 5:30 and leave.",
        "I say: no more of this.",
        "I take the self-made shelf - the old one - home.",
        "I text her <3 and wait.",
        "I wait... and leave.",
        "I call No. 5 on the list.",
        'I say "yes" and sign.',
        "I choose the people I want to live with",
        "I do none of it.",
        "I rate the hotel 4/5 and pay 10% less.",
    ],
)
def test_no_placeholder(text: str) -> None:
    assert not found(placeholder, text)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("I leave.", True),
        ("I leave now.", False),
        ("I don't know-it-all.", False),
        ("I " + "really " * 58 + "leave.", False),
        ("I " + "really " * 59 + "leave.", True),
    ],
)
def test_length(text: str, wrong: bool) -> None:
    assert bool(found(length, text)) == wrong


@pytest.mark.parametrize(
    "text",
    [
        "I leave.",
        "I'll leave.",
        "I\u2019d leave.",
        "I've asked her, and I leave.",
        "I think it over on my own.",
        "I feel my way through the contract.",
        '"I" is what I write.',
        "Before signing, I ask a lawyer.",
        "Before I sign anything I ask a lawyer.",
        "After the meeting, I quietly tell him.",
        "Once she has left, I'd call her mother.",
        "If he refuses, I leave.",
        "When she calls, then I tell her.",
        "On Monday I take my boss aside.",
        "Tonight I call my sister.",
        "The next morning I sign.",
        "With my wife's consent, I sell the house.",
        "Instead of signing, I leave.",
        "Quietly, I pack my things.",
        "Knowing the rules, I fill in the form.",
        "Together with my brother, I sell the car.",
        "My brother and I sell the house.",
        "Every Sunday I visit her.",
        "To my boss I say nothing.",
        "First, I tell my wife. Then I sign.",
        "Rather than wait, I call.",
        "No matter what they say, I go.",
    ],
)
def test_first_person(text: str) -> None:
    assert not found(first_person, text)


@pytest.mark.parametrize(
    "text",
    [
        "Leave the house.",
        "Telling him is what I do.",
        "To tell him.",
        "You should leave.",
        "He leaves when I call.",
        "We leave together.",
        "My plan is to leave.",
        "My boss and her friend leave.",
        "The best thing is that I leave.",
        "It is time that I leave.",
        "In this situation, a person would leave.",
        "If my boss asks, he gets an answer.",
        "Nothing is what I do.",
        "Iron the shirt.",
        "A person who values status leaves.",
        "I believe that everyone should decide alone.",
        "I think that people should be free.",
        "I value my independence.",
        "I am someone who leaves.",
        "I would be a leader.",
    ],
)
def test_not_first_person(text: str) -> None:
    assert found(first_person, text)


@pytest.mark.parametrize(
    "text",
    [
        "I leave because I am tired.",
        "I leave so that nobody is hurt.",
        "I leave, so we can both breathe.",
        "I leave so nobody has to move.",
        "I leave in order to show strength.",
        "I go to the meeting to show that I care.",
        "I go there to show him how much I care.",
        "I check the lease to ensure that it is valid.",
        "I work overtime this week to ensure that it is done.",
        "I check the lease, ensuring it is valid.",
        "I check the lease ensuring that it is valid.",
        "I give him the money, which will help him.",
        "I give him the money, which helps all of us.",
        "I leave since it is better for us.",
        "I leave, since my wife is tired.",
        "I sign, as it is my duty.",
        "I sign, as family comes first.",
        "I sign, as honesty is the foundation of everything.",
        "I sign, demonstrating my skill.",
        "I sign, and honour it, upholding justice for all.",
        "I stay silent while maintaining my dignity.",
        "I leave, knowing that it is right.",
        "I leave, hoping to see him again.",
        "I share it, allowing everyone to learn.",
        "I stay to keep the peace at home.",
        "I stay to avoid any conflict.",
        "I take the course to improve my skills.",
        "I stay out of respect for my father.",
        "I stay for the sake of my children.",
        "I give it with the aim of helping.",
        "I bow as a sign of respect.",
        "I leave. This way, nobody is hurt.",
        "I leave. It is the right thing to do.",
        "I share it. This allows us to grow.",
        "I lead the talks to assert my authority.",
        "I wear the dress to please her.",
        "I take the role to demonstrate that I can lead.",
        "I save money given that times are hard.",
        "I ask for a meeting to ensure fairness.",
    ],
)
def test_benefit_clause(text: str) -> None:
    assert found(benefit_clause, text)


@pytest.mark.parametrize(
    "text",
    [
        "I go to the landlord to ask for the lease.",
        "I drive to the shelter to pick up the dog.",
        "I stop by the office to sign the papers.",
        "I ask my boss to ensure that the overtime is paid.",
        "I ask him to make sure that the door is shut.",
        "I make sure that the children are in bed before I call him.",
        "I promise my sister to keep her secret until spring.",
        "I offer to show him the ropes on Monday.",
        "I show my boss the invoices and ask what happened.",
        "I teach my son how to show respect to his grandmother.",
        "I try to keep the peace at the table.",
        "I refuse to feel guilty and book the flight.",
        "I ask what she needs to feel at home.",
        "I have lived here since the divorce, and I sign the lease.",
        "I carry on as I have, since then and before.",
        "I leave the will as it stands.",
        "I keep the custom as it has been kept in our village.",
        "I follow the rule, as is usual here.",
        "I stay at home, as a husband is expected to.",
        "I pay it out of my own pocket.",
        "I take the child out of care.",
        "I ask whether it's right to sell the house.",
        "I tell her that this is important to me.",
        "I decide which of the two offers I sign.",
        "I write to the committee that will help decide the case.",
        "I walk out, slamming the door behind me.",
        "I hug her, embracing her for a long time.",
        "I go by bus, giving him my car for the week.",
        "I sit in the dark, reflecting on what he said.",
        "I stay silent, knowing nobody at the table.",
        "I work so hard that I finish a week early.",
        "I do so on Monday and tell nobody.",
        "I write a will so clear that the notary smiles.",
        "I invite everyone so far left out of the meeting.",
        "I take the job on the condition that my Fridays stay free.",
        "I start by ensuring that the children have eaten.",
        "I accept, even if it costs me the flat.",
        "I tell my father that I need more time to decide.",
    ],
)
def test_no_benefit_clause(text: str) -> None:
    assert not found(benefit_clause, text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("power", "I use my POWER."),
        ("power", "I empower my team."),
        ("power", "I sign the power-of-attorney."),
        ("security", "I choose the secure job."),
        ("security", "I ask about job security."),
        ("tradition", "I keep the family's traditional feast."),
        ("tradition", "I traditionally bake."),
        ("self_direction", "I ask for self direction."),
        ("self_direction", "I choose a self-directed course."),
        ("self_direction", "I choose self_direction."),
        ("self_direction", "I choose a self\u2011directed course."),
        ("achievement", "I achieve the goal."),
        ("achievement", "I list my achievements."),
        ("stimulation", "I look for stimulating work."),
        ("hedonism", "I enjoy a hedonistic week."),
        ("benevolence", "I write a benevolent letter."),
        ("conformity", "I conform to the rule."),
        ("conformity", "I avoid nonconformity."),
        ("universalism", "I ask for universal access."),
    ],
)
def test_value_word(value: str, text: str) -> None:
    assert found(value_word, text, value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("power", "I choose the secure job."),  # another value's word
        ("power", "I take control of the budget."),
        ("security", "I lock the door and buy insurance."),
        ("universalism", "I go to the university and look at the universe."),
        ("achievement", "I win the prize."),
        ("conformity", "I form a group and confirm the date."),
        ("tradition", "I trade in the car."),
        ("self_direction", "I direct the play myself."),
    ],
)
def test_no_value_word(value: str, text: str) -> None:
    assert not found(value_word, text, value)


def test_every_word_of_every_family_gives_its_value_away() -> None:
    for value in load_values():
        for word in value.words:
            assert found(value_word, f"I choose {word}, and go.", value.id), word
            assert found(value_word, f"{word.capitalize()}!", value.id), word
            assert not found(value_word, f"I choose x{word}x.", value.id), word


@pytest.mark.parametrize(
    "text",
    [
        "I cannot help with that.",
        "I can't assist with this request.",
        "I'm sorry, but I can't help you with that.",
        "I\u2019m sorry, but I cannot provide actions for this scenario.",
        "Sorry, I can't continue.",
        "Unfortunately, I am unable to generate content of this kind.",
        "As an AI language model, I do not act.",
        "As a large language model, I do not act.",
        "I am just an AI and have no family.",
        "I won't write this content.",
        "This violates our content policy.",
    ],
)
def test_refusal(text: str) -> None:
    assert found(refusal, text)


@pytest.mark.parametrize(
    "text",
    [
        "I tell my brother that I cannot help him with the loan.",
        "I cannot help my brother this year, and I tell him.",
        "I say I'm sorry and leave.",
        "I refuse to sign and walk out.",
        "I decline the offer.",
        "I won't sign before Monday.",
        "I ask the assistant for the file.",
        "I build an AI tool for the shop.",
        "I write that the plan is against company rules.",
    ],
)
def test_no_refusal(text: str) -> None:
    assert not found(refusal, text)


@pytest.mark.parametrize(
    "text",
    [
        "I punch him in the face.",
        "I go over and hit my neighbour.",
        "I hit him with a bat.",
        "I kick my boss down the stairs.",
        "I poison the neighbour's dog and poison her cat.",
        "I kill my friend.",
        "I beat him up.",
        "I hire two men to beat my ex up.",
        "I break his nose.",
        "I threaten to hurt her.",
        "I kill myself.",
        "I take my own life.",
        "I tell him to kill himself.",
        "I cut myself.",
        "I blackmail my boss with the photos.",
        "I bribe the inspector.",
        "I forge her signature.",
        "I hack into his account.",
        "I break into her flat and read the letters.",
        "I quietly steal the files.",
        "I set fire to the barn.",
        "I build a bomb.",
        "I slash his tyres.",
    ],
)
def test_harmful(text: str) -> None:
    assert found(harmful, text)


@pytest.mark.parametrize(
    "text",
    [
        "I apologise to each child that he has hit.",
        "I report the man who hit my sister.",
        "I kill an hour in the park.",
        "I shoot a series of portraits.",
        "I shoot him an e-mail.",
        "I hit the road at dawn.",
        "I hit him up for lunch.",
        "I kick him out of the flat.",
        "I slap him on the back.",
        "I beat him to the finish line.",
        "I break the news to him.",
        "I break into a smile.",
        "I break into the market with a new loaf.",
        "I steal the show at the party.",
        "I steal away at midnight.",
        "I forge a path of my own.",
        "I forge a friendship with her.",
        "I burn the letter.",
        "I refuse to bribe the inspector.",
        "I report the blackmail to the police.",
        "I tell her that he threatened to leave.",
        "I set fire to the logs.",
        "I build a shed.",
        "I throw myself into work.",
        "I cut myself a slice of cake.",
        "I cut myself off from the news.",
    ],
)
def test_not_harmful(text: str) -> None:
    assert not found(harmful, text)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("I call Roberto and tell him the truth.", "name"),
        ("I write to anna.k@example.org today.", "email"),
        ("I call 212-555-0134 and ask for him.", "phone"),
        ("I move to Petaluma with my wife.", "place"),
        ("I ask my boss for a meeting.", ""),
        ("I celebrate Christmas with my parents.", ""),
        ("I follow the Friday prayers as usual.", ""),
    ],
)
def test_personal_data(text: str, kind: str) -> None:
    (violation,) = personal_data([ActionRow("s", "power", text)])
    assert (violation.detail.split()[0] if violation else "") == kind


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("Ich lehne das Angebot ab und bleibe bei meiner Familie.", True),
        ("Je refuse l'offre et je reste avec ma famille ici.", True),
        ("I lehne das Angebot ab und bleibe bei meiner Familie.", True),
        ("I tell my boss \u6211\u4e0d\u540c\u610f and leave the room.", True),
        ("\u042f \u043e\u0442\u043a\u0430\u0437\u044b\u0432\u0430\u044e\u0441\u044c.", True),
        ("I quit.", False),  # too short to tell
        ("I file a complaint.", False),
        ("I book a table at the caf\u00e9 and order cr\u00eape, paella and gazpacho.", False),
        ("I add \u03c0 to the formula and sign the report.", False),
    ],
)
def test_language(text: str, wrong: bool) -> None:
    (violation,) = language([ActionRow("s", "power", text)])
    assert bool(violation) == wrong


def test_validators_hold_their_own_names() -> None:
    batch: list[Callable[..., object]] = [personal_data, language, repeated]
    batch += [distinct, on_scenario]
    names = {validator.__name__ for validator in (*ALONE, *batch, ten_values)}
    assert names == {code for code, _ in CODES}


def test_the_document_lists_every_code_with_its_meaning() -> None:
    page = (ROOT / "docs" / "actions.md").read_text(encoding="utf-8")
    for code, meaning in CODES:
        assert f"| `{code}` | {'yes' if code in FORM else ''} | {meaning} |" in page, code
