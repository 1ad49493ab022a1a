"""Sections of the configuration from questions on: composing, release, annotation, publishing."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from pipeline.config_model import STRICT, Count, Positive


@dataclass(frozen=True, config=STRICT)
class ComposeConfig:
    """How actions become questions.

    Attributes:
        design: Balanced design in pipeline/designs/, without `.json`: "cycle12" makes five
            questions of a scenario's twenty actions, "one60" one question.
    """

    design: str = "cycle12"


@dataclass(frozen=True, config=STRICT)
class ReleaseConfig:
    """What the release folder says of itself.

    Attributes:
        title: Heading of the card.
        text: What is published of a post: a retelling ("rewritten"), nothing but its id ("ids"),
            or its masked text ("verbatim", which keeps a release of real posts local).
        canary: GUID that stands in every row and file, so that training on the data can be
            detected.
        contact: Where somebody writes who wants a post taken back: an address or a page; the card
            says so if it is "".
        dev_slots_per_domain: The first slots of each domain are split "dev", for work on prompts;
            whole cycles of the design (24 with five domains), so that both splits stay balanced.
            Never to be changed from one release to the next.
        held_out_slots_per_domain: The next slots of each domain are not released: they are written
            to a folder of their own, beside the release.
    """

    title: str
    text: Literal["rewritten", "ids", "verbatim"]
    canary: str
    contact: str = ""
    dev_slots_per_domain: Count = 0
    held_out_slots_per_domain: Count = 0


@dataclass(frozen=True, config=STRICT)
class AnnotationConfig:
    """Whether experts check the actions before a release, and where their work is kept.

    Attributes:
        by: "" for nobody; "label_studio" or "csv" for experts who work there. The build then waits
            for their reviews.
        plan: The annotation's plan; see pipeline/annotation/plan.py.
        rounds: Rounds of the plan that the build waits for.
        folder: Holds a folder for each workspace: rounds and reviews, private, and kept.
        server: Folder of our own Label Studio: database, accounts, raw answers; private.
        port: Of our own Label Studio, on 127.0.0.1.
    """

    by: Literal["", "label_studio", "csv"] = ""
    plan: str = "annotations/plan.toml"
    rounds: Positive = 1
    folder: str = "annotations/rounds"
    server: str = "annotations/private"
    port: Annotated[int, Field(ge=1, le=65535)] = 8080


@dataclass(frozen=True, config=STRICT)
class PublishConfig:
    """What a maintainer says before a release may go to a Hub; a build never reads it.

    Attributes:
        rights: On what ground the texts may be published, in a sentence; nothing goes without it.
        private: The repository is made private.
        gated: Who asks for access gets it at once ("auto"), after a person has looked ("manual"),
            or there is nothing to ask for ("no").
        demonstration: True to let a demonstration be published as one.
        verbatim: True to let posts be published as they were written, names and places masked.
    """

    rights: str = ""
    private: bool = True
    gated: Literal["auto", "manual", "no"] = "manual"
    demonstration: bool = False
    verbatim: bool = False
