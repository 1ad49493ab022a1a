"""One dataset repository on a Hub; every failure becomes one line with its remedy.

The Hub is the one of HF_ENDPOINT, the token the one of HF_TOKEN: it is read from the environment
alone and goes nowhere but into requests.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pipeline.errors import BadInputError, PipelineError

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

MAIN = "main"
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
_KIND = "dataset"


class HubError(PipelineError):
    """The Hub refused or did not answer; the same command goes on where it stopped."""


@dataclass(frozen=True)
class HubFile:
    """A file of a revision.

    Attributes:
        path: Its path in the repository.
        size: Bytes.
        digest: SHA-256 of a large file, else its git blob id (SHA-1).
    """

    path: str
    size: int
    digest: str


class Hub:
    """A dataset repository.

    Args:
        repo: "org/name".

    Raises:
        BadInputError: The name is none, or HF_TOKEN is not set.
    """

    def __init__(self, repo: str) -> None:
        if not _NAME.fullmatch(repo):
            raise BadInputError(f"--repo {repo}: write it as org/name")
        token = os.environ.get("HF_TOKEN", "").strip()
        if not token:
            raise BadInputError(
                "HF_TOKEN: not set; put a token into it that may write to "
                f"{repo} (the Hub's settings, Access Tokens)"
            )
        # Chunks of what is fetched would else stay in the user's cache, beyond any take-back.
        os.environ["HF_XET_CHUNK_CACHE_SIZE_BYTES"] = "0"
        os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
        from huggingface_hub import HfApi
        from huggingface_hub.utils.tqdm import disable_progress_bars

        disable_progress_bars()
        self.repo = repo
        self.endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
        self._api: HfApi = HfApi(endpoint=self.endpoint, token=token)

    def exists(self) -> bool:
        """Return True if the repository is there and this token may read it."""
        from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

        with self._told():
            self._api.whoami()  # else a wrong token looks like a missing repository
            try:
                self._api.repo_info(self.repo, repo_type=_KIND)
            except GatedRepoError:
                raise
            except RepositoryNotFoundError:
                return False
        return True

    def create(self, *, private: bool, gated: Literal["auto", "manual", False]) -> None:
        """Make the repository, closed before anything is in it."""
        with self._told():
            self._api.create_repo(self.repo, repo_type=_KIND, private=private, exist_ok=True)
            self._api.update_repo_settings(self.repo, repo_type=_KIND, gated=gated)

    def visibility(self) -> str:
        """Return who may read, for people: "private, gated (manual)"."""
        with self._told():
            info = self._api.repo_info(self.repo, repo_type=_KIND)
        return ", ".join(
            [
                "private" if info.private else "public",
                f"gated ({info.gated})" if info.gated else "not gated",
            ]
        )

    def head(self) -> str:
        """Return the commit of the main branch."""
        return self.branches()[MAIN]

    def branches(self) -> dict[str, str]:
        """Return the commit of each branch, those of conversions and of requests included."""
        with self._told():
            refs = self._api.list_repo_refs(self.repo, repo_type=_KIND, include_pull_requests=True)
        found = {ref.name: ref.target_commit for ref in refs.branches}
        others = [*refs.converts, *(refs.pull_requests or [])]
        return found | {ref.ref: ref.target_commit for ref in others}

    def tags(self) -> dict[str, str]:
        """Return the commit of each tag."""
        with self._told():
            refs = self._api.list_repo_refs(self.repo, repo_type=_KIND)
        return {ref.name: ref.target_commit for ref in refs.tags}

    def commits(self, revision: str) -> list[str]:
        """Return a revision's commit and all before it, the newest first."""
        with self._told():
            line = self._api.list_repo_commits(self.repo, repo_type=_KIND, revision=revision)
        return [commit.commit_id for commit in line]

    def resolves(self, revision: str) -> bool:
        """Return True if the Hub still gives out this revision."""
        from huggingface_hub.errors import RevisionNotFoundError

        with self._told():
            try:
                self._api.repo_info(self.repo, repo_type=_KIND, revision=revision)
            except RevisionNotFoundError:
                return False
        return True

    def files(self, revision: str) -> dict[str, HubFile]:
        """Return the files of a revision by path."""
        from huggingface_hub.hf_api import RepoFile

        with self._told():
            rows = list(
                self._api.list_repo_tree(
                    self.repo, repo_type=_KIND, revision=revision, recursive=True
                )
            )
        return {
            row.path: HubFile(row.path, row.size, row.lfs.sha256 if row.lfs else row.blob_id)
            for row in rows
            if isinstance(row, RepoFile)
        }

    @contextmanager
    def fetched(self, revision: str, paths: Iterable[str]) -> Iterator[Path]:
        """Yield a folder with these files, which is gone afterwards: no cache keeps them."""
        with tempfile.TemporaryDirectory() as place:
            folder, cache = Path(place) / "files", Path(place) / "cache"
            with self._told():
                for path in paths:
                    found = self._api.hf_hub_download(
                        self.repo, path, repo_type=_KIND, revision=revision, cache_dir=cache
                    )
                    (folder / path).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(found, folder / path)
            folder.mkdir(exist_ok=True)
            yield folder

    def commit(
        self,
        operations: list[CommitOperationAdd | CommitOperationDelete],
        message: str,
        parent: str,
    ) -> str:
        """Upload and commit; nothing is visible before the one commit, all of it after.

        Large files that an interrupted upload left on the Hub are not sent again.

        Raises:
            HubError: Also if another commit came in between.
        """
        with self._told():
            done = self._api.create_commit(
                self.repo,
                operations,
                repo_type=_KIND,
                commit_message=message,
                parent_commit=parent,
            )
        return str(done.oid)

    def tag(self, name: str, revision: str) -> None:
        """Tag a commit; a tag that is there is never moved."""
        with self._told():
            self._api.create_tag(self.repo, repo_type=_KIND, tag=name, revision=revision)

    def delete_tag(self, name: str) -> None:
        """Remove a tag."""
        with self._told():
            self._api.delete_tag(self.repo, repo_type=_KIND, tag=name)

    def squash(self, message: str) -> None:
        """Make one commit of the main branch's history."""
        with self._told():
            self._api.super_squash_history(self.repo, repo_type=_KIND, commit_message=message)

    def large_files(self) -> dict[str, str]:
        """Return a path for each large file that the repository stores, by SHA-256."""
        with self._told():
            rows = list(self._api.list_lfs_files(self.repo, repo_type=_KIND))
        return {row.file_oid: row.filename for row in rows}

    def delete_large_files(self, digests: Iterable[str]) -> None:
        """Delete large files for good, and the pointers to them in every commit."""
        wanted = set(digests)
        with self._told():
            rows = [
                row
                for row in self._api.list_lfs_files(self.repo, repo_type=_KIND)
                if row.file_oid in wanted
            ]
            self._api.permanently_delete_lfs_files(
                self.repo, rows, repo_type=_KIND, rewrite_history=True
            )

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn what the client raises into one line for the user."""
        from httpx2 import HTTPError
        from huggingface_hub.errors import HfHubHTTPError

        try:
            yield
        except (HfHubHTTPError, HTTPError, RuntimeError, ValueError, OSError) as error:
            cause: BaseException = error
            while isinstance(cause, RuntimeError) and cause.__cause__:  # of one file's upload
                cause = cause.__cause__
            if isinstance(cause, HfHubHTTPError | HTTPError):
                raise HubError(self._line(cause)) from None
            if isinstance(error, OSError) and error.filename:
                raise
            raise HubError(f"{self.repo}: {_first(error)}") from None

    def _line(self, error: Exception) -> str:
        from huggingface_hub.errors import (
            DisabledRepoError,
            GatedRepoError,
            HfHubHTTPError,
            RepositoryNotFoundError,
        )

        where = f"{self.repo} at {self.endpoint}"
        if not isinstance(error, HfHubHTTPError):
            return (
                f"{where}: no answer ({type(error).__name__}); look at HF_ENDPOINT and the network "
                "and run the same command again: what was uploaded is not sent twice"
            )
        status = error.response.status_code
        said = _first(error.server_message or error)
        if isinstance(error, GatedRepoError):
            return (
                f"{where}: gated, and this token's account has no access ({status}); ask for it "
                "on the dataset's page, or let its owner grant it"
            )
        if isinstance(error, DisabledRepoError):
            return f"{where}: disabled by the Hub ({status}); ask its support"
        if isinstance(error, RepositoryNotFoundError):
            return (
                f"{where}: not there, or private and not open to this token ({status}); check the "
                "name, and that HF_TOKEN may read it"
            )
        remedy = {
            401: "HF_TOKEN is not a valid token; make a new one",
            403: "HF_TOKEN may not do this; use a token with write access to the repository",
            409: "it is there already",
            412: "somebody else committed meanwhile; run the command again, look at the new diff",
            413: "a file is too large for the Hub",
            429: "too many requests; wait, then run the same command again",
        }.get(status, "run the same command again: what was uploaded is not sent twice")
        return f"{where}: {status} ({said}); {remedy}"


def _first(error: object) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:200] if lines else type(error).__name__
