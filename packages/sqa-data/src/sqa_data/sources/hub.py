"""The Hugging Face Hub: pinned revision, size and SHA-256 of a dataset's files; the user's own cache of them.

HF_ENDPOINT, HF_HOME, HF_TOKEN and HF_HUB_OFFLINE hold here as they do for huggingface_hub.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import httpx2 as httpx
from huggingface_hub import HfApi, constants, get_token, hf_hub_url, snapshot_download, try_to_load_from_cache
from huggingface_hub.errors import LocalEntryNotFoundError, OfflineModeIsEnabled

from sqa_data.errors import DataError
from sqa_data.sources.answers import RemoteFile


@dataclass(frozen=True, slots=True)
class HubFile:
    """One file of a dataset repository at one revision."""

    repo: str
    path: str
    revision: str
    size: int | None
    sha256: str | None  # None for small files, which are not in large-file storage

    @property
    def remote(self) -> RemoteFile:
        """Where to download it from."""
        token = None if constants.HF_HUB_DISABLE_IMPLICIT_TOKEN else get_token()
        return RemoteFile(
            hf_hub_url(
                self.repo, self.path, repo_type="dataset", revision=self.revision, endpoint=_endpoint()
            ),
            self.size,
            f"sha256:{self.sha256}" if self.sha256 else None,
            {"authorization": f"Bearer {token}"} if token else {},
        )

    @property
    def cached(self) -> Path | None:
        """The same file in the user's Hugging Face cache."""
        found = try_to_load_from_cache(self.repo, self.path, revision=self.revision, repo_type="dataset")
        return Path(found) if isinstance(found, str) else None


def hub_files(repo: str) -> tuple[HubFile, ...]:
    """All files of a dataset repository at its newest revision (offline: what the cache holds of it)."""
    if constants.HF_HUB_OFFLINE:
        return _cached_files(repo)
    try:
        info = HfApi(endpoint=_endpoint()).dataset_info(repo, files_metadata=True)
    except OfflineModeIsEnabled:
        return _cached_files(repo)
    except (httpx.HTTPError, OSError) as error:
        raise DataError(f"{_endpoint()}/datasets/{repo}: cannot ask the Hugging Face Hub: {error}") from error
    return tuple(
        HubFile(repo, file.rfilename, info.sha or "main", file.size, file.lfs.sha256 if file.lfs else None)
        for file in info.siblings or ()
    )


def hub_file(repo: str, path: str) -> HubFile:
    """One file of a dataset repository."""
    for file in hub_files(repo):
        if file.path == path:
            return file
    raise DataError(f"{_endpoint()}/datasets/{repo}: no file {path!r} there")


def _cached_files(repo: str) -> tuple[HubFile, ...]:
    try:
        folder = Path(snapshot_download(repo, repo_type="dataset", local_files_only=True))
    except LocalEntryNotFoundError as error:
        raise DataError(
            f"datasets/{repo}: not in the Hugging Face cache, and HF_HUB_OFFLINE forbids to download it"
        ) from error
    return tuple(
        HubFile(repo, path.relative_to(folder).as_posix(), folder.name, path.stat().st_size, None)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    )


def _endpoint() -> str:
    return os.environ.get("HF_ENDPOINT", constants.ENDPOINT).rstrip("/")
