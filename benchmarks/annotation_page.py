"""Photographs the annotation page, filled in, with a bundled invented post: for the docs.

    python -m benchmarks.annotation_page docs/pictures/annotation-page.png

It needs Label Studio (`make labelstudio`) and Chromium.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

from pipeline import schema
from pipeline.labelstudio.accounts import open_accounts
from pipeline.labelstudio.connect import connect
from pipeline.labelstudio.route import project_url, route
from pipeline.paths import SAMPLE_POSTS

POST = "invm5g8"
ACTIONS = (
    "I tell M the truth, that people left because of last summer, and offer to look for help with "
    "him before July.",
    "I skip the cabin and take M camping, because he has nobody else and counted on me.",
    "I leave it to the vote of the six: the trip belongs to the group, and I keep to what it says.",
    "I book the cabin in my own name and decide myself who gets an invitation.",
)
PRESSED = ("5", "Alt+1", "Shift+3", "u", "Shift+t", "l", "Shift+f", ".", "Shift+v")
"""By place; the order in which this expert sees the actions is always the same."""


def main() -> None:
    """Start a server, make one task, fill it in, take the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--width", type=int, default=1440)
    parser.add_argument("--height", type=int, default=900)
    parser.add_argument("--port", type=int, default=8099)
    parser.add_argument("--opinions", action="store_true", help="as in an adjudication")
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        connect(Path(folder), (1,), given.port) as connection,
    ):
        items = schema.frame([_item("adjudication" if given.opinions else "sample")], schema.ITEMS)
        (desk,) = route(connection.studio, items, "Values in actions", Path(folder))
        who = open_accounts(Path(folder)).experts[1]
        url = connection.studio.url
        _photograph(given, url, project_url(connection.studio, desk.project), who)


def _item(kind: str) -> dict[str, Any]:
    lines = SAMPLE_POSTS.read_text(encoding="utf-8").splitlines()
    post = next(row for row in map(json.loads, lines) if row["id"] == POST)
    return {
        "item_id": "i-picture",
        "round": 1,
        "kind": kind,
        "scenario_id": "s-picture",
        "domain": "relationships",
        "scenario": f"{post['title']}\n\n{post['selftext']}",
        "action_ids": ["a", "b", "c", "d"],
        "actions": list(ACTIONS),
        "experts": [1],
    }


def _photograph(given: argparse.Namespace, url: str, page_url: str, who: Any) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        chromium = shutil.which("chromium") or shutil.which("chromium-browser")
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": given.width, "height": given.height})
        page.goto(f"{url}/user/login/")
        page.fill("[name=email]", who.email)
        page.fill("[name=password]", who.password)
        page.press("[name=password]", "Enter")
        page.wait_for_url(lambda at: "/user/login" not in at)
        page.goto(page_url)
        page.wait_for_selector(".va-guide")
        page.keyboard.press("Escape")
        page.wait_for_selector(".va-guide", state="hidden")
        page.wait_for_selector(".va-action >> nth=3")
        for key in PRESSED:
            page.keyboard.press(key)
        page.wait_for_timeout(700)  # the checkmarks fade in
        shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB").quantize(64)
        shot.save(given.out, optimize=True)  # a third of the size, and looks the same
        tall = page.evaluate("document.querySelector('.va-right').getBoundingClientRect().bottom")
        print(f"{given.out}: the last action ends at {tall:.0f} of {given.height} pixels")
        browser.close()


if __name__ == "__main__":
    main()
