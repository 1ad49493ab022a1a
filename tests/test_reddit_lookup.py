"""Posts looked up again by their ids.

Real PRAW against a loopback Reddit; what waits between tries does so in milliseconds.
"""

from __future__ import annotations

import pytest

from pipeline import recheck
from pipeline.errors import BadInputError, StageError
from pipeline.sources.reddit import Found, Reddit, fetch_by_ids
from tests.loopback_reddit import RedditServer
from tests.reddit_world import World


def test_ids_are_looked_up_a_hundred_at_a_time(reddit: RedditServer, reddit_world: World) -> None:
    reddit.fill("AskHR", 240)
    shown = reddit.posts["AskHR"]
    shown[0] |= {"selftext": "[removed]", "removed_by_category": "moderator"}
    shown[1] |= {"selftext": "[deleted]", "author": "[deleted]"}
    shown[2] |= {"selftext": "still here", "removed_by_category": "deleted"}
    shown[3] |= {"selftext": "[ Removed by Reddit ]", "removed_by_category": "content_takedown"}
    shown[4] |= {"selftext": "[removed]"}
    shown[5] |= {"author": None, "score": -3}
    ids = [f"t3_{post['id']}" for post in shown[:6]] + ["zzz"] + [p["id"] for p in shown[6:]]
    found = list(fetch_by_ids(Reddit(reddit_world()), iter(ids)))
    assert [it.post_id for it in found] == [name.removeprefix("t3_") for name in ids]
    assert len(reddit.asked) == 3
    assert [it.state for it in found[:7]] == [
        "removed",
        "deleted",
        "deleted",
        "removed",
        "removed",
        "present",
        "gone",
    ]
    assert {it.state for it in found[7:]} == {"present"}
    assert found[0].removal == "moderator"
    assert [it for it in found if it.state != "present" and it.record] == []
    kept = found[5].record
    assert kept is not None
    assert (kept["score"], kept["author_hash"], kept["title"]) == (-3, None, shown[5]["title"])
    assert found[6] == Found("zzz", "gone", "", None)


def test_posts_are_looked_up_again_through_the_api(
    reddit: RedditServer, reddit_world: World
) -> None:
    """What `sync` and `hydrate` see without --from; bodies are told apart by their hash."""
    reddit.fill("AskHR", 4)
    shown = reddit.posts["AskHR"]
    first, second, third, fourth = shown
    hashes = {post["id"]: recheck.body_hash(post["selftext"]) for post in shown}
    second["selftext"] += " Edit: thanks."
    third |= {"selftext": "[removed]", "removed_by_category": "moderator"}
    fourth |= {"selftext": "[deleted]", "author": None}
    ids = [first["id"], second["id"], third["id"], fourth["id"], "zzz"]
    seen = list(recheck.by_api(reddit_world(), ids))
    assert [recheck.state_of(it, hashes.get(it.post_id, "")) for it in seen] == [
        "same",
        "edited",
        "removed",
        "deleted",
        "gone",
    ]


def test_an_answer_without_a_listing_makes_no_post_gone(
    reddit: RedditServer, reddit_world: World
) -> None:
    reddit.fill("AskHR", 1)
    client = Reddit(reddit_world())
    reddit.faults.extend(["list", "page", "cut"])
    assert [it.state for it in fetch_by_ids(client, ["askhr0001"])] == ["present"]
    for faults in (["list"] * 8, [404], ["refuse"]):
        reddit.faults.extend(faults)
        with pytest.raises(StageError):
            list(fetch_by_ids(client, ["askhr0001"]))
    with pytest.raises(BadInputError, match="'sample-1' is no id"):
        list(fetch_by_ids(client, ["askhr0001", "sample-1"]))
