"""Taking posts back: from the workspace, the ledger and the release here, and from a Hub.

What is taken back is written down first, without its text; every step may be done twice, so that an
interrupted run goes on with the same command.
"""

from __future__ import annotations

import multiprocessing
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from pipeline import tombstones
from pipeline.annotation import store
from pipeline.annotation.plan import load_plan
from pipeline.build import run_again
from pipeline.config import Config
from pipeline.errors import BadInputError, StageError
from pipeline.llm import purge
from pipeline.llm.prices import dollars
from pipeline.paths import source_path
from pipeline.publishing import prove, publish, purge_files, purge_studio, target
from pipeline.publishing.hub import MAIN, Hub
from pipeline.publishing.prove import Place
from pipeline.publishing.target import Tables, Target
from pipeline.workspace import locked

WHY = "Posts were taken back: what their authors deleted is no longer part of this dataset."


@dataclass(frozen=True)
class Job:
    """One taking back.

    Attributes:
        config: The build.
        target: What goes.
        goes_on: True if an earlier run was interrupted.
        more: What is noted of the Hub on the way.
    """

    config: Config
    target: Target
    goes_on: bool
    more: dict[str, Any]

    @property
    def workspace(self) -> Path:
        """Folder of the artifacts."""
        return Path(self.config.build.workspace)

    @property
    def rounds(self) -> Path:
        """Folder of the experts' rounds."""
        return store.place_of(self.config)

    def save(self) -> None:
        """Write down how far it is."""
        target.save(self.workspace, self.target, self.more)


def open_job(config: Config, ids: list[str], *, on_hub: bool) -> Job | None:
    """Find what is to be taken back; None if there is nothing.

    Args:
        config: The build.
        ids: Of posts or of what is made of them; none for all posts with a tombstone.
        on_hub: Also what was taken back here before, and from no Hub.

    Raises:
        BadInputError: An id is unknown, or another run was interrupted.
        StageError: There is no build.
    """
    workspace = Path(config.build.workspace)
    begun = target.load(workspace)
    if begun is not None:
        found, more = begun
        if ids and not set(ids) <= set(found.ids):
            raise BadInputError(
                f"{workspace / target.JOURNAL}: taking back {', '.join(found.posts)} was "
                "interrupted; finish it first, without IDS"
            )
        return Job(config, found, True, more)
    if not ids:
        posts = Tables(workspace).get("scrape.posts")
        stones = tombstones.load(Path(config.source.tombstones))
        ids = sorted(stones.keys() & set(posts["post_id"])) if posts.height else []
    wanted = [target.find_target(config, ids)] if ids else []
    before = target.load(workspace, target.HERE_ONLY) if on_hub else None
    wanted += [before[0]] if before else []
    if not wanted:
        return None
    every = wanted[0].joined(wanted[1]) if len(wanted) > 1 else wanted[0]
    return Job(config, every, False, {})


def comparable(job: Job) -> Iterator[str]:
    """Say what changes in scores that are to be compared: a line for each count that does."""
    tables = Tables(job.workspace)
    questions = tables.get("compose.questions")
    if questions.is_empty():
        return
    gone = pl.col("scenario_id").is_in(list(job.target.scenarios))
    left = questions.filter(~gone)
    yield (
        f"questions {questions.height:,} -> {left.height:,}: scores compare over the "
        f"{left.height:,} that stay"
    )
    for column, what in (("domain", "questions of"), ("target_value", "questions that ask for")):
        before, after = Counter(questions[column]), Counter(left[column])
        for name in sorted(before):
            if before[name] != after[name]:
                yield f"    {what} {name}: {before[name]:,} -> {after[name]:,}"


def places(job: Job) -> list[Place]:
    """Search every place on this machine."""
    config = job.config
    work, dist, ledger = job.workspace, Path(config.build.dist), Path(config.build.ledger)
    swept = Path(config.reddit.out)
    found = [
        prove.in_files(f"workspace {work}", prove.below(work), job.target, work),
        prove.in_files(f"ledger {ledger}", prove.beside(ledger), job.target, ledger.parent),
        prove.in_files(f"release {dist}", prove.below(dist), job.target, dist),
    ]
    if job.rounds.is_dir():
        rounds = prove.below(job.rounds)
        found.append(prove.in_files(f"rounds {job.rounds}", rounds, job.target, job.rounds))
    office = Path(config.annotation.server)
    if office.is_dir():  # its database and the answers that were collected
        found.append(
            prove.in_files(f"Label Studio {office}", prove.below(office), job.target, office)
        )
    found += purge_studio.named_server(config, purge_studio.items_of(config, job.target.scenarios))
    if swept.is_file():
        # It keeps the ids, so that a later sweep does not add the posts again.
        what = f"swept posts {swept}"
        found.append(prove.in_files(what, [swept], job.target, swept.parent, names=False))
    return found


def take_back_here(job: Job) -> Iterator[str]:
    """Purge this machine's copies and build the release without them; yield what was done.

    Raises:
        PipelineError: The release cannot be built, or a file is in use; the command goes on.
    """
    config, gone = job.config, job.target
    today = datetime.now(UTC).date().isoformat()
    made = Tables(job.workspace).get("rewrite.scenarios")
    known = {row["post_id"]: row for row in made.iter_rows(named=True)}
    stones = [
        tombstones.Tombstone(
            post,
            "asked_for",
            today,
            known.get(post, {}).get("scenario_id", ""),
            known.get(post, {}).get("body_sha256", ""),
        )
        for post in gone.posts
    ]
    with locked(job.workspace, Path(config.build.dist)):
        new = tombstones.add(Path(config.source.tombstones), stones)
        yield f"{config.source.tombstones}: {new:,} new tombstones"
        job.save()
        done = purge.purge(Path(config.build.ledger), gone.keys)
        yield (
            f"{config.build.ledger}: {done.requests:,} requests and {done.attempts:,} replies "
            f"purged; their keys, hashes and cost ({dollars(done.micro_usd)}) stay"
        )
        plan = load_plan(Path(config.annotation.plan))
        yield from purge_files.purge_rounds(job.rounds, plan, gone)
        yield from purge_studio.purge_studio(config, purge_studio.items_of(config, gone.scenarios))
        yield from purge_files.purge_swept(config, gone)
        yield from purge_files.purge_vectors(config)
        yield from purge_files.purge_workspace(job.workspace, gone)
    slots = Tables(job.workspace).get("generate.slots")
    if slots.is_empty():
        return
    if not slots.filter(pl.col("scenario_id") != "").height:
        raise StageError(f"{config.build.name}: no scenario would be left to release")
    if (job.workspace / "release").is_dir():
        context = multiprocessing.get_context("spawn")  # its checks read offline, the Hub does not
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            pool.submit(run_again, config, "release").result()
        yield f"{config.build.dist}: built without {len(gone.scenarios):,} scenarios, and verified"


def outside(job: Job) -> Iterator[str]:
    """Name what this cannot reach, a line each."""
    source = source_path(job.config.source.path)
    if (
        job.config.source.path != "sample"
        and source.resolve() != Path(job.config.reddit.out).resolve()
    ):
        yield f"{source}: is yours and was not changed; the tombstones keep the posts out of it"
    yield "forms that were handed out, and a Label Studio not named, hold copies of their own"


def take_back_on_hub(job: Job, hub: Hub) -> Iterator[str]:
    """Publish the release that is left, and remove all that a Hub holds of what was before it.

    Raises:
        HubError: The Hub refuses or does not answer; the same command goes on.
    """
    note = job.more
    if "commits" not in note:
        refs = {**hub.branches(), **hub.tags()}
        commits = {commit for name in refs for commit in hub.commits(name)}
        note |= {"commits": sorted(commits), "old_tags": sorted(hub.tags())}
        job.save()
    if "tag" not in note:
        found = publish.plan(job.config, Path(job.config.build.dist), hub, why=WHY)
        if found.level != "patch" and found.last:
            yield f"warning: the folder changes more than this: {found.reason}"
        if not found.nothing:
            commit = publish.commit_files(job.config, hub, found)
            yield f"{hub.repo}: commit {commit}, {len(found.changes):,} files"
        note["tag"] = found.last if found.nothing else found.tag
        job.save()
    tags = hub.tags()
    for name in note["old_tags"]:
        if name in tags and tags[name] in note["commits"]:
            hub.delete_tag(name)
            yield f"{hub.repo}: tag {name} retired"
    if len(hub.commits(MAIN)) > 1:
        hub.squash(f"{note['tag']}: {WHY}")
        yield f"{hub.repo}: history squashed"
    if note["tag"] not in hub.tags():
        hub.tag(note["tag"], MAIN)
        yield f"{hub.repo}: tag {note['tag']} set"
    kept = {file.digest for file in hub.files(MAIN).values()}
    old = sorted(hub.large_files().keys() - kept)
    if old:
        hub.delete_large_files(old)
        yield f"{hub.repo}: {len(old):,} large files deleted"


def finish(job: Job, *, on_hub: bool) -> None:
    """Forget what was being taken back; only tombstones tell of it from now on.

    What was taken from no Hub yet stays noted by its hashes, so that it can be.
    """
    if on_hub:
        (job.workspace / target.HERE_ONLY).unlink(missing_ok=True)
    elif job.target.scenarios:
        before = target.load(job.workspace, target.HERE_ONLY)
        every = job.target.joined(before[0]) if before else job.target
        target.save(job.workspace, every, {}, target.HERE_ONLY)
    (job.workspace / target.JOURNAL).unlink(missing_ok=True)
