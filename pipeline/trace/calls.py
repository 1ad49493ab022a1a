"""The model calls on the way: what was asked, by which prompt, and what came back."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from pipeline.artifacts import sha256_text
from pipeline.errors import BadInputError
from pipeline.llm.audit import Recorded, recorded, recorded_about
from pipeline.llm.reply import read_json
from pipeline.paths import PROMPTS
from pipeline.prompts import load_prompt
from pipeline.rewrite import scenario_id
from pipeline.text import clean
from pipeline.trace.parts_question import Call, PromptFile
from pipeline.trace.tables import Tables

_CANARY = re.compile(r"<!-- [^\n]*-->\n\Z")
_NAME_AND_VERSION = re.compile(r"(?P<name>\S+) (?P<version>\d+)")


class Calls:
    """Collects calls, each key once, in the order in which they are met."""

    def __init__(self, tables: Tables, ledger: Path) -> None:
        self._tables, self._ledger = tables, ledger
        self._asked: dict[str, tuple[str, str, str]] = {}

    def add(self, stage: str, model: str, key: str, prompt: str = "") -> None:
        """Note a call of a stage; `prompt` is "<name> <version>" where a table tells it."""
        self._asked.setdefault(key, (stage, model, prompt))

    def add_about(self, stage: str, models: Iterable[str], item: str) -> None:
        """Note all calls about an item that the ledger knows."""
        if self._ledger.is_file():
            for model in models:
                for call in recorded_about(self._ledger, f"{item} by {model}"):
                    self.add(stage, model, call.key)

    def retelling(self, model: str, post_id: str, scenario: str, key: str | None) -> str | None:
        """Note the call that retold a post; return its key, or None if none gives this text.

        Args:
            model: The rewriter, by its name in [models].
            post_id: The post.
            scenario: Id of the scenario, which is a hash of its text.
            key: The key if a table tells it.
        """
        if key is None and self._ledger.is_file():
            about = recorded_about(self._ledger, f"{post_id} by {model}")
            key = next((call.key for call in reversed(about) if _tells(call, scenario)), None)
        if key is not None:
            self.add("rewrite", model, key)
        return key

    def found(self) -> tuple[Call, ...]:
        """Return the calls, with what the ledger holds of them.

        Raises:
            BadInputError: The file is no ledger.
        """
        there = self._ledger.is_file()
        known = recorded(self._ledger, self._asked) if there else {}
        missing = "is not in" if there else "cannot be looked up: there is no file"
        return tuple(
            self._call(key, *self._asked[key], known.get(key), f"{missing} {self._ledger}")
            for key in self._asked
        )

    def _call(
        self, key: str, stage: str, model: str, prompt: str, call: Recorded | None, missing: str
    ) -> Call:
        alone = call is not None and _asks_for_one_action(call)
        first = prompt_of(self._tables, stage, prompt, alone=alone)
        prompts = [first] if first else []
        if call is None:
            return Call(key, stage, model, tuple(prompts), f"the reply {missing}")
        asked, reply = call.components, call.reply
        if first and _asked_again(first, asked["messages"]):
            prompts.append(prompt_file(self._tables, stage, "ask_again"))
        return Call(
            key=key,
            stage=stage,
            model=model,
            prompts=tuple(prompts),
            problem="" if reply else f"{self._ledger} holds the request, and no reply to it",
            asking=asked["replicate"] + 1,
            endpoint=asked["endpoint"],
            model_asked=asked["model"],
            model_returned=reply.model_returned if reply else None,
            outcome=reply.outcome if reply else None,
            prompt_tokens=reply.prompt_tokens if reply else None,
            completion_tokens=reply.completion_tokens if reply else None,
            reply=reply.text if reply else None,
        )


def prompt_of(
    tables: Tables, stage: str, told: str = "", *, alone: bool = False
) -> PromptFile | None:
    """Return the prompt that a stage asked by: the one told, else that of its configuration.

    Args:
        tables: The build.
        stage: The stage.
        told: "<name> <version>" where a table tells it.
        alone: True if one action alone was asked for.
    """
    match = _NAME_AND_VERSION.fullmatch(told)
    if match:
        digest = tables.component(stage, f"prompt.{match['name']}")
        return PromptFile(f"prompts/{match['name']}.md", int(match["version"]), digest)
    name = tables.setting(stage, f"{stage}.{'single_prompt' if alone else 'prompt'}")
    return prompt_file(tables, stage, name) if name else None


def prompt_file(tables: Tables, stage: str, name: str) -> PromptFile:
    """Return a prompt as it was when a stage ran.

    Its version is looked up where its content is still at hand: in the checkout, or in the copy
    that the release of the workspace holds.
    """
    digest = tables.component(stage, f"prompt.{name}")
    released = tables.workspace / "release" / "dist" / "provenance" / "prompts"
    for folder in (PROMPTS, released):
        try:
            prompt = load_prompt(name, folder)
        except BadInputError:
            continue
        # A release ends its copy in a line with the canary.
        own = sha256_text(_CANARY.sub("", (folder / f"{name}.md").read_text(encoding="utf-8")))
        if digest in {prompt.digest, own}:
            return PromptFile(f"prompts/{name}.md", prompt.version, digest)
    return PromptFile(f"prompts/{name}.md", None, digest)


def _asked_again(prompt: PromptFile, messages: Sequence[object]) -> bool:
    """Return True if there are more messages than the prompt alone makes."""
    try:
        now = load_prompt(Path(prompt.file).stem)
    except BadInputError:
        return False
    return now.digest == prompt.sha256 and len(messages) > len(now.sections)


def _asks_for_one_action(call: Recorded) -> bool:
    form = json.loads(call.components["schema"] or "{}")
    return list(form.get("properties", {})) == ["action"]


def _tells(call: Recorded, scenario: str) -> bool:
    if call.reply is None or call.reply.outcome != "ok":
        return False
    data, _ = read_json(call.reply.text, call.components["schema"] or "{}")
    told = data.get("situation") if isinstance(data, dict) else None
    return isinstance(told, str) and scenario_id(clean(told)) == scenario
