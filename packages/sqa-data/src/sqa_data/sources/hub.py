"""The Hugging Face Hub: pinned revision, size and SHA-256 of a dataset's files; the user's own cache of them.

HF_ENDPOINT, HF_HOME, HF_TOKEN and HF_HUB_OFFLINE hold here as they do for huggingface_hub.
"""

import os
from pathlib import Path

import httpx2 as httpx
from huggingface_hub import HfApi, constants, get_token, hf_hub_url, snapshot_download, try_to_load_from_cache
from huggingface_hub.errors import LocalEntryNotFoundError, OfflineModeIsEnabled

from sqa_data.errors import DataError
from sqa_data.sources.answers import RemoteFile


def hub_files(repo: str) -> dict[str, RemoteFile]:
    """Path -> file of a dataset repository at its newest revision (offline: what the cache holds of it)."""
    if constants.HF_HUB_OFFLINE:
        return _cached_files(repo)
    try:
        info = HfApi(endpoint=_endpoint()).dataset_info(repo, files_metadata=True)
    except OfflineModeIsEnabled:
        return _cached_files(repo)
    except (httpx.HTTPError, OSError) as error:
        raise DataError(f"{_endpoint()}/datasets/{repo}: cannot ask the Hugging Face Hub: {error}") from error
    revision = info.sha or "main"
    return {
        # small files are not in large-file storage and have no SHA-256
        file.rfilename: _file(
            repo, file.rfilename, revision, file.size, file.lfs.sha256 if file.lfs else None
        )
        for file in info.siblings or ()
    }


def hub_file(repo: str, path: str) -> RemoteFile:
    """One file of a dataset repository."""
    files = hub_files(repo)
    if path not in files:
        raise DataError(f"{_endpoint()}/datasets/{repo}: no file {path!r} there")
    return files[path]


def _file(repo: str, path: str, revision: str, size: int | None, sha256: str | None) -> RemoteFile:
    url = hf_hub_url(repo, path, repo_type="dataset", revision=revision, endpoint=_endpoint())
    token = None if constants.HF_HUB_DISABLE_IMPLICIT_TOKEN else get_token()
    headers = {"authorization": f"Bearer {token}"} if token else {}
    cached = try_to_load_from_cache(repo, path, revision=revision, repo_type="dataset")
    here = Path(cached) if isinstance(cached, str) else None
    return RemoteFile(url, size, f"sha256:{sha256}" if sha256 else None, headers, here)


def _cached_files(repo: str) -> dict[str, RemoteFile]:
    try:
        folder = Path(snapshot_download(repo, repo_type="dataset", local_files_only=True))
    except LocalEntryNotFoundError as error:
        raise DataError(
            f"datasets/{repo}: not in the Hugging Face cache, and HF_HUB_OFFLINE forbids to download it"
        ) from error
    paths = {p.relative_to(folder).as_posix(): p for p in sorted(folder.rglob("*")) if p.is_file()}
    return {name: _file(repo, name, folder.name, p.stat().st_size, None) for name, p in paths.items()}


def _endpoint() -> str:
    return os.environ.get("HF_ENDPOINT", constants.ENDPOINT).rstrip("/")
