"""The annotation page of the real Label Studio in a headless Chromium, by keyboard alone."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipeline.labelstudio.accounts import open_accounts
from pipeline.labelstudio.answers import read_answer
from pipeline.labelstudio.page import KEYS
from pipeline.labelstudio.route import project_url, route
from pipeline.labelstudio.server import Server
from pipeline.labelstudio.studio import Studio
from pipeline.values import value_ids
from tests.studio_world import NASTY, world

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.slow

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium; `apt-get install chromium` installs it")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture(params=[(1440, 900), (1280, 720)], ids=["1440x900", "1280x720"])
def page(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    width, height = request.param
    context = browser.new_context(viewport={"width": width, "height": height})
    yield context.new_page()
    context.close()


def log_in(page: Page, server: Server, number: int) -> None:
    who = open_accounts(server.folder).experts[number]
    page.goto(f"{server.url}/user/login/")
    page.fill("[name=email]", who.email)
    page.fill("[name=password]", who.password)
    page.press("[name=password]", "Enter")
    page.wait_for_url(lambda url: "/user/login" not in url)


def begin(page: Page, url: str) -> None:
    """Open the first task, and close the guidelines that stand before it."""
    page.goto(url)
    page.wait_for_selector(".va-guide")
    page.keyboard.press("Escape")
    page.wait_for_selector(".va-guide", state="hidden")
    page.wait_for_selector(".va-action >> nth=3")


def shown(page: Page, number: int) -> str:
    return page.locator(".lsf-richtext__container").nth(number).inner_text()


def test_a_task_by_keyboard(
    label_studio: Server, studio: Studio, page: Page, tmp_path: Path
) -> None:
    width = page.viewport_size["width"] if page.viewport_size else 0
    made = world(1, experts=1, overlap=1)
    item = made.items.row(0, named=True)
    (desk,) = route(studio, made.items, f"In a browser of {width}", tmp_path)
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    log_in(page, label_studio, 1)
    begin(page, project_url(studio, desk.project))

    # Texts stand there as they are, and nothing in them was carried out.
    assert "<script>window.hacked=1</script><img src=x" in shown(page, 0)
    assert "{{7*7}}" in shown(page, 0)
    assert "&amp; &lt;i&gt; $action_1" in shown(page, 0)
    assert page.evaluate("window.hacked") is None
    assert page.locator(".va img, .va script, .va b").count() == 0
    assert dialogs == []
    # Nothing is chosen beforehand, and the page needs no scrolling to the side.
    assert page.locator(".va input:checked").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")

    # The second place's row: third value first, sixth second, natural 4, and so on.
    for row, (first, second, natural) in zip(
        KEYS, ((0, 1, 5), (2, 5, 4), (9, 0, 1), (4, None, 3)), strict=True
    ):
        page.keyboard.press(row[first])
        if second is not None:
            page.keyboard.press(f"Alt+{row[second]}")
        page.keyboard.press(f"Shift+{row[natural - 1]}")
    page.keyboard.press("=")  # harmful
    for _ in range(40):
        if page.evaluate("document.activeElement.tagName") == "TEXTAREA":
            break
        page.keyboard.press("Tab")
    page.keyboard.type("q1: keys are <b>letters</b> here")
    page.keyboard.press("Tab")
    page.keyboard.press("'")  # needs expertise: keys are keys again
    page.keyboard.press("'")  # and back
    with page.expect_response(lambda r: "/annotations" in r.url and r.request.method == "POST"):
        page.keyboard.press("Control+Enter")

    (task,) = studio.export(desk.project)
    (annotation,) = task["annotations"]
    answer = read_answer(annotation, item, 1)
    assert answer.problems == ()
    ids = value_ids()
    by_action = {row["action_id"]: row for row in answer.reviews}
    told = [
        tuple(
            by_action[item["action_ids"][item["actions"].index(task["data"][f"action_{place}"])]][c]
            for c in ("first_value", "second_value", "naturalness")
        )
        for place in (1, 2, 3, 4)
    ]
    assert told == [
        (ids[0], ids[1], 5),
        (ids[2], ids[5], 4),
        (ids[9], ids[0], 1),
        (ids[4], "", 3),
    ]
    assert answer.reviews[0]["flags"] == ["harmful"]
    assert answer.reviews[0]["notes"] == "q1: keys are <b>letters</b> here"
    assert answer.reviews[0]["lead_seconds"] > 0
    assert "<script>" in NASTY


def test_what_is_required_is_asked_for(
    label_studio: Server, studio: Studio, page: Page, tmp_path: Path
) -> None:
    width = page.viewport_size["width"] if page.viewport_size else 0
    made = world(1, experts=1, overlap=1)
    (desk,) = route(studio, made.items, f"Empty in a browser of {width}", tmp_path)
    log_in(page, label_studio, 1)
    begin(page, project_url(studio, desk.project))
    page.keyboard.press("w")
    page.keyboard.press("Control+Enter")
    page.get_by_text("Action 1: choose the value that it expresses most.").wait_for()
    (task,) = studio.export(desk.project)
    assert task["annotations"] == []
