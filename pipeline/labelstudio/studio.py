"""One Label Studio server by address and key, through its SDK: the few calls that we make.

Nothing is sent twice on its own: a request that failed may have been carried out all the same.
"""

from __future__ import annotations

import html
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx

from pipeline.errors import BadInputError, StageError
from pipeline.labelstudio.accounts import Login

T = TypeVar("T")

_SECONDS = 600.0
"""An import or an export of some thousand tasks takes seconds; a loaded machine is slower."""

_PAGE = 1000
_INCLUDE = "id,data,total_annotations,cancelled_annotations,drafts"  # the others take twice as long
_CSRF = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')


@dataclass(frozen=True)
class Project:
    """A project as the server has it; of its settings those that `project` was asked to compare."""

    id: int
    title: str
    description: str


@dataclass(frozen=True)
class Task:
    """A task as the server has it.

    Attributes:
        id: The server's.
        data: What was imported.
        touched: Whether somebody annotated or skipped it, or has begun to.
    """

    id: int
    data: Mapping[str, Any]
    touched: bool


class Studio:
    """A connection; close it with `close`, or use it as a context manager.

    Args:
        url: Where the server answers.
        key: API token: a legacy one, or a personal access token.

    Attributes:
        url: Without a final slash.

    Raises:
        BadInputError: The address or the key is none.
    """

    def __init__(self, url: str, key: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise BadInputError(f"LABEL_STUDIO_URL '{url}': no address; give http(s)://host")
        self.url = url.rstrip("/")
        self._key = key
        # A proxy of the environment is for the outside, not for this machine.
        here = parts.hostname in ("127.0.0.1", "localhost", "::1")
        self._http = httpx.Client(timeout=_SECONDS, follow_redirects=True, trust_env=not here)
        from label_studio_sdk import LabelStudio

        self._client = self._call(
            "log in",
            lambda: LabelStudio(
                base_url=self.url, api_key=key, httpx_client=self._http, max_retries=0
            ),
        )

    def __enter__(self) -> Studio:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def whoami(self) -> str:
        """Return the e-mail address of the key's account.

        Raises:
            BadInputError: The server does not take the key.
            StageError: There is no server, or it answers nonsense.
        """
        return str(self._call("log in", self._client.users.whoami).email or "")

    def members(self) -> dict[int, str]:
        """Return the e-mail addresses of all accounts by user id."""
        found = self._call("list the accounts", self._client.users.list)
        return {int(user.id): str(user.email or "").lower() for user in found}

    def projects(self) -> list[Project]:
        """Return all projects, by id."""
        found = self._call(
            "list the projects",
            lambda: list(self._client.projects.list(page_size=100, include="id,title,description")),
        )
        rows = [Project(int(p.id), p.title or "", p.description or "") for p in found]
        return sorted(rows, key=lambda project: project.id)

    def create_project(self, settings: Mapping[str, Any]) -> int:
        """Make a project; return its id."""
        made = self._call(
            f"make the project '{settings['title']}'",
            lambda: self._client.projects.create(**settings),
        )
        return int(made.id)

    def update_project(self, project: int, settings: Mapping[str, Any]) -> bool:
        """Give a project these settings; return whether any of them was another."""
        has = self._call(f"read project {project}", lambda: self._client.projects.get(project))
        other = {key: value for key, value in settings.items() if getattr(has, key, None) != value}
        if other:
            self._call(
                f"change project {project} ({', '.join(other)})",
                lambda: self._client.projects.update(project, **other),
            )
        return bool(other)

    def delete_project(self, project: int) -> None:
        """Delete a project."""
        self._call(f"delete project {project}", lambda: self._client.projects.delete(project))

    def tasks(self, project: int) -> list[Task]:
        """Return a project's tasks, by id, without their annotations."""
        found = self._call(
            f"list the tasks of project {project}",
            lambda: list(
                self._client.tasks.list(
                    project=project, fields="task_only", include=_INCLUDE, page_size=_PAGE
                )
            ),
        )
        rows = [
            Task(
                int(task.id),
                task.data if isinstance(task.data, dict) else {},
                bool(task.total_annotations or task.cancelled_annotations or task.drafts),
            )
            for task in found
        ]
        return sorted(rows, key=lambda task: task.id)

    def import_tasks(self, project: int, data: Sequence[Mapping[str, Any]]) -> None:
        """Add tasks and wait until they are there (Enterprise imports in the background)."""
        what = f"import {len(data)} tasks into project {project}"
        answer = self._call(
            what,
            lambda: self._client.projects.import_tasks(
                project, request=[{"data": dict(each)} for each in data]
            ),
        )
        if answer.task_count is not None or not answer.import_:
            return
        ends = time.monotonic() + _SECONDS
        while True:
            job = self._call(
                what, lambda: self._client.tasks.create_many_status(project, int(answer.import_))
            )
            if job.status == "completed":
                return
            if job.status == "failed" or time.monotonic() > ends:
                reason = _detail(job.error or "it does not end")
                raise StageError(f"{self.url}: cannot {what}: {reason}; run it again")
            time.sleep(0.5)

    def delete_task(self, task: int) -> None:
        """Delete a task."""
        self._call(f"delete task {task}", lambda: self._client.tasks.delete(str(task)))

    def export(self, project: int) -> list[dict[str, Any]]:
        """Return every task of a project with every annotation, as the server's raw JSON.

        Enterprise makes a snapshot first; the SDK waits for it.
        """
        found = self._call(
            f"export project {project}",
            lambda: self._client.projects.exports.as_json(project, timeout=int(_SECONDS)),
        )
        if not isinstance(found, list) or not all(isinstance(task, dict) for task in found):
            raise StageError(f"{self.url}: the export of project {project} is no list of tasks")
        return found

    def sign_up(self, logins: Iterable[Login]) -> None:
        """Make accounts by the invitation link, as persons would; then the link ends.

        (The API's own way makes accounts that cannot log in, the command line's makes managers.)
        """
        for login in logins:
            # A client of its own: afterwards it is logged in as the new account.
            with httpx.Client(timeout=_SECONDS, follow_redirects=True, trust_env=False) as browser:
                self._call("sign up", lambda b=browser, who=login: self._sign_up(b, who))  # type: ignore[misc]
        # The link stands in the server's log.
        self._call("end the invitation", lambda: self._invite("POST", "/reset-token"))

    def _invite(self, method: str, what: str = "") -> str:
        # The SDK has no call for it. Our own server takes legacy tokens.
        headers = {"Authorization": f"Token {self._key}"}
        answer = self._http.request(method, f"{self.url}/api/invite{what}", headers=headers)
        answer.raise_for_status()
        return str(answer.json()["invite_url"])

    def _sign_up(self, browser: httpx.Client, login: Login) -> None:
        address = self.url + "/" + self._invite("GET").lstrip("/")
        page = browser.get(address)
        token = _CSRF.search(page.text)
        if page.status_code != 200 or token is None:
            raise StageError(f"{self.url}: the page for signing up has no form")
        form = {
            "csrfmiddlewaretoken": html.unescape(token[1]),
            "email": login.email,
            "password": login.password,
        }
        browser.post(address, data=form, headers={"Referer": address})
        if login.email not in self.members().values():
            raise StageError(f"{self.url}: no account was made for {login.email}")

    def _call(self, what: str, ask: Callable[[], T]) -> T:
        from label_studio_sdk.core.api_error import ApiError
        from label_studio_sdk.core.parse_error import ParsingError

        try:
            return ask()
        except ApiError as error:
            # Its text has the headers, and these the session's cookie.
            status, detail = error.status_code, _detail(error.body)
            if status in (401, 403):
                raise BadInputError(
                    f"{self.url}: the server does not let this key {what} ({detail}); "
                    "take one of an account that owns the projects"
                ) from None
            raise StageError(f"{self.url}: cannot {what}: status {status}, {detail}") from None
        except (ParsingError, ValueError):
            raise StageError(
                f"{self.url}: cannot {what}: the answer is not Label Studio's; is it the address?"
            ) from None
        except httpx.HTTPError as error:
            reason = str(error) or type(error).__name__
            raise StageError(
                f"{self.url}: cannot {what}: {reason}; the same command goes on"
            ) from None


def _detail(body: Any) -> str:
    """Return what an error's body says, in one short line."""
    if isinstance(body, dict):
        body = body.get("validation_errors") or body.get("detail") or body
    return " ".join(str(body).split())[:300]
