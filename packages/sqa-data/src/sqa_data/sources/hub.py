"""The Hugging Face Hub: pinned revision, size and SHA-256 of a dataset's files; the user's own cache of them.

HF_ENDPOINT, HF_HOME, HF_TOKEN and HF_HUB_OFFLINE hold here as they do for huggingface_hub.
"""

import os
from pathlib import Path
from typing import Literal

import httpx2 as httpx
from huggingface_hub import HfApi, constants, get_token, hf_hub_url, snapshot_download, try_to_load_from_cache
from huggingface_hub.errors import LocalEntryNotFoundError, OfflineModeIsEnabled

from sqa_data.errors import DataError
from sqa_data.sources.answers import RemoteFile

Kind = Literal["dataset", "model"]


def hub_files(repo: str, kind: Kind = "dataset") -> dict[str, RemoteFile]:
    """Path -> file of a repository at its newest revision (offline: what the cache holds of it)."""
    if constants.HF_HUB_OFFLINE:
        return _cached_files(repo, kind)
    try:
        api = HfApi(endpoint=_endpoint())
        ask = api.dataset_info if kind == "dataset" else api.model_info
        info = ask(repo, files_metadata=True)
    except OfflineModeIsEnabled:
        return _cached_files(repo, kind)
    except (httpx.HTTPError, OSError) as error:
        raise DataError(f"{_place(repo, kind)}: cannot ask the Hugging Face Hub: {error}") from error
    revision = info.sha or "main"
    return {
        # small files are not in large-file storage and have no SHA-256
        file.rfilename: _file(
            repo, kind, file.rfilename, revision, file.size, file.lfs.sha256 if file.lfs else None
        )
        for file in info.siblings or ()
    }


def hub_file(repo: str, path: str, kind: Kind = "dataset") -> RemoteFile:
    """One file of a repository."""
    files = hub_files(repo, kind)
    if path not in files:
        raise DataError(f"{_place(repo, kind)}: no file {path!r} there")
    return files[path]


def _file(
    repo: str, kind: Kind, path: str, revision: str, size: int | None, sha256: str | None
) -> RemoteFile:
    url = hf_hub_url(repo, path, repo_type=kind, revision=revision, endpoint=_endpoint())
    token = None if constants.HF_HUB_DISABLE_IMPLICIT_TOKEN else get_token()
    headers = {"authorization": f"Bearer {token}"} if token else {}
    cached = try_to_load_from_cache(repo, path, revision=revision, repo_type=kind)
    here = Path(cached) if isinstance(cached, str) else None
    return RemoteFile(url, size, f"sha256:{sha256}" if sha256 else None, headers, here)


def _cached_files(repo: str, kind: Kind) -> dict[str, RemoteFile]:
    try:
        folder = Path(snapshot_download(repo, repo_type=kind, local_files_only=True))
    except LocalEntryNotFoundError as error:
        raise DataError(
            f"{kind}s/{repo}: not in the Hugging Face cache, and HF_HUB_OFFLINE forbids to download it"
        ) from error
    paths = {p.relative_to(folder).as_posix(): p for p in sorted(folder.rglob("*")) if p.is_file()}
    return {name: _file(repo, kind, name, folder.name, p.stat().st_size, None) for name, p in paths.items()}


def _place(repo: str, kind: Kind) -> str:
    return f"{_endpoint()}/{'datasets/' if kind == 'dataset' else ''}{repo}"


def _endpoint() -> str:
    return os.environ.get("HF_ENDPOINT", constants.ENDPOINT).rstrip("/")
