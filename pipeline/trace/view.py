"""A trace on a terminal. Texts of posts and models are shown and never obeyed."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

from pipeline.escape import as_text, on_one_line
from pipeline.trace.parts import Cluster, Post, Scenario, Trace
from pipeline.trace.parts_question import Call, Option, PromptFile, Question, Violation

CUT = 700
"""Characters of a text that are shown unless all are asked for."""

_INDENT = 4


def print_trace(found: Trace, console: Console, *, full: bool = False) -> None:
    """Print a trace, from the question down to the source; `full` cuts no text."""
    _View(found, console, full).show()


class _View:
    """One trace being printed."""

    def __init__(self, found: Trace, console: Console, full: bool) -> None:
        self._found, self._console, self._full = found, console, full
        self._number = {call.key: n for n, call in enumerate(found.calls, start=1)}

    def show(self) -> None:
        found = self._found
        if found.stale:
            self._head(
                "note",
                f"{', '.join(found.stale)}: what this stage read has been made anew since; run "
                "`python -m pipeline build` to its end",
            )
        for question in found.questions:
            self._question(question)
        if found.spare:
            self._head("in no question", f"{len(found.spare)} of the scenario's actions")
            for option in found.spare:
                self._option(option)
        self._calls("generate")
        self._calls("recognise")
        if found.scenario:
            self._scenario(found.scenario)
        self._calls("rewrite")
        for vote in found.votes:
            tie = ", breaking a tie" if vote.breaks_tie else ""
            told = f"{vote.vote} ({vote.reason}) by {vote.model}{tie}"
            self._head("vote", f"{told}, call {self._number[vote.ledger_key]}")
        self._calls("vote")
        if found.cluster:
            self._cluster(found.cluster)
        for violation in found.violations:
            self._head("violation", f"{violation.value} by {violation.generator}")
            self._violation(violation, kept=False)
        if found.dropped:
            gone = found.dropped
            detail = f" ({gone.detail})" if gone.detail else ""
            self._head("dropped", f"{gone.item} by stage {gone.stage}: {gone.reason}{detail}")
        if found.post:
            self._post(found.post)
        if found.unbuilt:
            self._head("not built yet", ", ".join(found.unbuilt))

    def _question(self, question: Question) -> None:
        self._head(
            "question",
            f"{question.question_id}, index {question.index} in slot {question.slot} "
            f"({question.domain})",
        )
        self._line(f"target: {question.target_letter}, {question.target_value}")
        for option in question.options:
            self._option(option)

    def _option(self, option: Option) -> None:
        mark = "*" if option.target else " "
        letter = Text(f" {mark}{on_one_line(option.letter or '-')}  ", "bold")
        self._console.print(letter + as_text(on_one_line(option.action)), soft_wrap=True)
        times = f", asked {option.askings} times" if (option.askings or 1) > 1 else ""
        told = f"{option.action_id}: {option.value} by {option.generator}"
        self._line(f"{told}, call {self._number[option.ledger_key]}{times}", 5)
        noted = {violation.code for violation in option.violations}
        unexplained = [code for code in option.flags or () if code not in noted]
        if unexplained:
            self._line(f"flagged: {', '.join(unexplained)}", 5)
        for violation in option.violations:
            self._violation(violation, kept=violation.action == option.action)

        if option.recognised_key:
            read = option.recognised or "nothing (no usable answer)"
            self._line(f"recognised as {read}, call {self._number[option.recognised_key]}", 5)

    def _violation(self, found: Violation, *, kept: bool) -> None:
        what = "flagged" if kept else "rejected" if found.rejects else "noted"
        told = f"{what}: {found.code} ({found.detail})"
        before = f"; asking {found.asking}, call {self._number[found.ledger_key]}: {found.action}"
        self._line(told if kept else told + before, 5)

    def _scenario(self, scenario: Scenario) -> None:
        place = f"slot {scenario.slot}" if scenario.slot is not None else "no slot"
        if scenario.replaced:
            place += f" after {', '.join(scenario.replaced)}"
        self._head(
            "scenario",
            f"{scenario.scenario_id} ({scenario.domain}, rank {scenario.rank} of its draw, "
            f"{place})",
        )
        if scenario.retelling:
            self._line(f"retold by call {self._number[scenario.retelling]}")
        elif scenario.form == "rewritten":
            self._line("retold, but no reply in the ledger gives this text")
        else:
            how = f'release.text = "{scenario.form}"'
            self._line(f"the post itself, names and places masked ({how})")
        self._block(scenario.text)

    def _calls(self, stage: str) -> None:
        for call in self._found.calls:
            if call.stage == stage:
                self._call(call)

    def _call(self, call: Call) -> None:
        self._head(f"call {self._number[call.key]}", call.key)
        by = f" ({call.model_asked} at {call.endpoint})" if call.endpoint else ""
        asking = f", asking {call.asking}" if call.asking else ""
        self._line(f"stage {call.stage} asked {call.model}{by}{asking}")
        self._line("prompt: " + (", then ".join(map(_prompt, call.prompts)) or "not known"))
        if call.problem:
            self._line(call.problem)
        if call.reply is not None:
            self._line(
                f"{call.model_returned or 'a model without a name'} came back: {call.outcome}, "
                f"{call.prompt_tokens:,} prompt and {call.completion_tokens:,} completion tokens"
            )
            self._block(call.reply)

    def _cluster(self, cluster: Cluster) -> None:
        ids = {removed.post_id for removed in cluster.removed}
        post = self._found.post
        if post and post.post_id in ids:
            self._head("duplicate of", f"{cluster.keeper_id}, {cluster.keeper_became}")
        n = len(cluster.removed)
        self._head("duplicates", f"{n} removed in favour of {cluster.keeper_id}")
        for removed in cluster.removed:
            self._line(
                f"{removed.post_id}: {removed.method} {removed.similarity:.4f} "
                f"({removed.source_file}, line {removed.source_line})"
            )

    def _post(self, post: Post) -> None:
        self._head("post", f"{post.post_id} in r/{post.subreddit}, {post.created}")
        self._line(f"title: {post.title}")
        if post.tags is not None:
            told = f"{post.words:,} words, language {post.language or 'unclear'}"
            self._line(f"{told}, tags: {', '.join(post.tags) or 'none'}")
        if post.masked is not None:
            self._line(f"masked: {', '.join(post.masked) or 'nothing'}")
        if post.tombstone:
            self._line(f"tombstone: {post.tombstone}; a new build drops it")
        scenario = self._found.scenario
        if post.text and (scenario is None or scenario.text != post.text):
            self._block(post.text)
        self._head("source", f"{post.source_file}, line {post.source_line}")
        if post.snapshots:
            self._line(f"also there, not used: {', '.join(post.snapshots)}")

    def _head(self, what: str, text: str) -> None:
        told = Text(f"{what:<13} ", "bold") + as_text(on_one_line(text))
        self._console.print(told, soft_wrap=True)

    def _line(self, text: str, indent: int = _INDENT) -> None:
        self._console.print(Text(" " * indent) + as_text(on_one_line(text)), soft_wrap=True)

    def _block(self, text: str) -> None:
        """Print a text behind a bar, so that no line of it can pass for a line of the trace."""
        cut = len(text) > CUT and not self._full
        width = max(20, self._console.width - _INDENT - 2)
        lines: Iterable[Text] = as_text(text[:CUT] if cut else text).wrap(self._console, width)
        bar = Text(" " * _INDENT + "│", "dim")
        for line in lines:
            line.rstrip()
            self._console.print(bar + Text(" ") + line if line else bar, soft_wrap=True)
        if cut:
            told = f"… {len(text) - CUT:,} more characters; --full shows them"
            self._console.print(Text(" " * _INDENT + told, "dim"), soft_wrap=True)


def _prompt(prompt: PromptFile) -> str:
    if prompt.version is not None:
        return f"{prompt.file} version {prompt.version}"
    digest = f" (SHA-256 {prompt.sha256[:12]}...)" if prompt.sha256 else ""
    return f"{prompt.file}, of a version that is not at hand{digest}"
