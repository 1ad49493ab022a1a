"""Publishing to a Hub over real sockets, with the real client, and loading it back by name."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from pipeline.dist import TABLES
from tests.hub_world import LOAD, REPO, HubWorld
from tests.loopback_hub import MAINTAINER, READER, STRANGER, Repo


def publish(world: HubWorld, *arguments: str, **options: Any) -> Any:
    return world.run("publish", f"--repo={REPO}", *arguments, **options)


def test_a_dry_run_lists_and_sends_nothing(hub_world: HubWorld) -> None:
    done = publish(hub_world)
    assert done.returncode == 0, done.stderr
    dist = hub_world.tmp / "dist"
    for file in dist.rglob("*"):
        if file.is_file() and file.name != "SHA256SUMS":
            path = file.relative_to(dist).as_posix()
            assert f"added   {file.stat().st_size:>12,}  {path}" in done.stdout
    assert "questions: 0 -> 50: 50 added, 0 removed, 0 changed" in done.stdout
    assert "version: v0.1.0" in done.stdout
    assert "Invented posts, ours to give." in done.stdout
    assert "nothing was sent" in done.stdout
    assert hub_world.hub.repos == {}
    assert {method for method, _ in hub_world.hub.asked} == {"GET"}


def test_what_is_published_loads_by_name_equal_row_for_row(hub_world: HubWorld) -> None:
    hub = hub_world.hub
    hub.multipart_over = 4096  # the largest tables go up in parts
    done = publish(hub_world, "--yes")
    assert done.returncode == 0, done.stderr
    repo = hub.repos[REPO]
    assert (repo.private, repo.gated) == (True, "manual")
    assert list(repo.tags) == ["v0.1.0"]
    titles = [c.title for c in repo.line(repo.branches["main"])]
    assert titles == ["v0.1.0: it is the first release", "initial commit"]
    assert any("/part/2" in path for _, path in hub.asked)
    for config in TABLES:
        for streaming in ("no", "yes"):
            told = hub_world.script(LOAD, REPO, config, "v0.1.0", streaming)
            assert told == hub_world.rows(config)
    head = repo.commits[repo.branches["main"]].files
    log = repo.data(head["CHANGELOG.md"]).decode()
    assert log.startswith("# Changes\n<!-- VALACT CANARY ")
    assert log.partition("\n\n")[2].startswith("## v0.1.0 (20")
    assert "- questions: 50 rows\n" in log

    # What was downloaded verifies, the changelog and the Hub's own files included.
    folder = hub_world.script(
        "import json, sys; from huggingface_hub import snapshot_download as s\n"
        "print(json.dumps(s(sys.argv[1], repo_type='dataset', local_dir='snapshot')))",
        REPO,
    )
    assert (Path(folder) / ".gitattributes").is_file()
    checked = hub_world.run("verify", f"--dist={folder}")
    assert checked.returncode == 0, checked.stderr

    # Nobody's secret went anywhere but into headers.
    said = done.stdout + done.stderr + "".join(path for _, path in hub.asked)
    stored = b"".join(repo.data(entry) for entry in head.values())
    assert MAINTAINER not in said
    assert MAINTAINER.encode() not in stored
    assert not [
        file
        for file in hub_world.tmp.rglob("*")
        if file.is_file() and MAINTAINER.encode() in file.read_bytes()
    ]

    again = publish(hub_world, "--yes")
    assert again.returncode == 0, again.stderr
    assert "v0.1.0 holds the same; nothing to publish" in again.stdout
    assert len(repo.line(repo.branches["main"])) == 2


def test_who_may_not_read_or_write_is_told_what_to_do(hub_world: HubWorld) -> None:
    assert publish(hub_world, "--yes").returncode == 0
    repo = hub_world.hub.repos[REPO]
    repo.private, repo.granted = False, {"ben"}

    def refused(**options: Any) -> str:
        done = publish(hub_world, "--yes", **options)
        assert done.returncode != 0
        assert done.stderr.count("\n") == 1, done.stderr
        return str(done.stderr)

    assert "gated, and this token's account has no access (403); ask for it" in refused(
        token=STRANGER
    )
    assert "401" in refused(token="hf_wrong")
    assert "HF_TOKEN is not a valid token; make a new one" in refused(token="hf_wrong")
    assert "HF_TOKEN: not set" in refused(token="")
    repo.private = True
    assert "403" in refused(token=STRANGER)  # to a stranger it is not there, and may not be made
    # A reader may look, and not write.
    done = publish(hub_world, token=READER)
    assert done.returncode == 0
    assert "nothing to publish" in done.stdout
    told = hub_world.script(
        "import json, sys\nfrom datasets import load_dataset\n"
        "try:\n    load_dataset(sys.argv[1], 'questions')\n"
        "except Exception as e:\n    print(json.dumps([type(e).__name__, str(e)]))",
        REPO,
        token=STRANGER,
    )
    assert told[0] in {"DatasetNotFoundError", "GatedRepoError", "RepositoryNotFoundError"}


def test_an_upload_that_breaks_off_shows_nothing_and_goes_on(hub_world: HubWorld) -> None:
    hub = hub_world.hub
    third, never = threading.Event(), threading.Event()

    def gate(oid: str) -> None:
        if sum(hub.stored.values()) >= 2 and not third.is_set():
            third.set()
            never.wait(60)

    hub.gate = gate
    process = hub_world.start("publish", f"--repo={REPO}", "--yes")
    assert third.wait(120)
    process.kill()
    process.communicate(timeout=60)
    repo = hub.repos[REPO]
    assert list(repo.commits[repo.branches["main"]].files) == [".gitattributes"]
    assert repo.tags == {}
    sent = dict(hub.stored)
    assert len(sent) >= 2
    hub.gate = None
    never.set()
    done = publish(hub_world, "--yes")
    assert done.returncode == 0, done.stderr
    assert all(hub.stored[oid] == 1 for oid in sent)  # nothing was sent twice
    assert list(repo.tags) == ["v0.1.0"]
    assert len(repo.line(repo.branches["main"])) == 2

    # Broken off between the commit and the tag: the tag alone is missing.
    repo.tags.clear()
    asked = len(hub.asked)
    done = publish(hub_world, "--yes")
    assert done.returncode == 0, done.stderr
    assert repo.tags == {"v0.1.0": repo.branches["main"]}
    assert not [path for _, path in hub.asked[asked:] if "/commit/" in path]
    # A tag is never moved, and a version promises what is true.
    for tag, said in (("v0.1.0", "is there already"), ("1.0", "write it as v1.2.3")):
        refused = publish(hub_world, f"--tag={tag}")
        assert refused.returncode == 2
        assert said in refused.stderr


def test_what_may_not_be_published_is_refused_in_one_line(hub_world: HubWorld) -> None:
    for key, value, said in (
        ("publish.rights", '""', "publish.rights is missing"),
        ("publish.demonstration", "false", "publish.demonstration is not true"),
        ("publish.verbatim", "false", 'release.text = "verbatim"'),
        ("release.canary", '"other"', "was built with release.canary"),
    ):
        done = publish(hub_world, f"--set={key}={value}", "--yes")
        assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
        assert said in done.stderr
    (hub_world.tmp / "dist" / "values.json").write_text("[]")
    done = publish(hub_world, "--yes")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert "values.json: differs from SHA256SUMS" in done.stderr
    assert hub_world.hub.repos == {}
    done = hub_world.run("publish", "--repo=nobody", "--yes")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


def test_a_repository_that_is_more_open_than_said_is_refused(hub_world: HubWorld) -> None:
    hub_world.hub.repos[REPO] = repo = Repo(REPO, private=False)
    repo.branches["main"] = repo.add({}, "", "initial commit").sha
    done = publish(hub_world, "--yes")
    assert done.returncode == 2
    assert "is public, not gated; close it" in done.stderr
    assert len(repo.commits) == 1
