"""Where a model lies: a name becomes two files, on this machine, in this package or from the Hugging Face Hub.

What exists on this machine comes first: a folder called `default-1` hides the edition of that name, as a folder
`owner/name` hides the Hub's. A path that is no string never names an edition, nor does `./default-1`.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from sqa_model.checkpoint.files import first_lines, require_file
from sqa_model.errors import CheckpointError

EDITIONS = (
    Path(__file__).parent.parent / "editions"
)  # the models of the package: 1, 2, ...; the last is the default
EDITION = re.compile(r"default(-[1-9]\d*)?")
OURS = ("config.json", "model.safetensors")
PUBLISHED = ("config.yaml", "model.pt")
HUGGING_FACE = ("model.safetensors", "pytorch_model.bin")  # of a WavLM alone
HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*(@[\w./-]+)?")


def check_name(source: str | os.PathLike[str] | None) -> None:
    """Raise `CheckpointError` for what cannot name a model; the Hub is not asked, nothing is imported."""
    if not (isinstance(source, str) and not Path(source).exists() and HUB_ID.fullmatch(source)):
        locate(source)


def edition(name: str = "default") -> Path:
    """The folder of a model of the package: `default-1` is the first edition, `default` the newest."""
    folders = EDITIONS.iterdir() if EDITIONS.is_dir() else ()
    found = {f"default-{folder.name}": folder for folder in folders if (folder / OURS[1]).exists()}
    if not found:
        raise CheckpointError(
            "this installation has no default model; pass model=..., a folder or a Hub id such as "
            "vvwangvv/universa-ext_wavlm-base_5metric"
        )
    names = sorted(found, key=lambda name: int(name.rpartition("-")[2]))
    if name not in ("default", *names):
        raise CheckpointError(
            f"{name}: this version has no such edition of the default model; expected {' or '.join(names)}"
        )
    return found[names[-1] if name == "default" else name]


def locate(source: str | os.PathLike[str] | None) -> tuple[Path, Path]:
    """(configuration, weights) of whatever names a model."""
    if source is None:
        source = edition()
    elif isinstance(source, str) and EDITION.fullmatch(source) and not Path(source).exists():
        source = edition(source)
    path = Path(source)
    if path.is_file():
        for config_name, weights_name in (OURS, PUBLISHED):
            weights = path.with_name(weights_name)
            if path.suffix == weights.suffix:
                return require_file(path.with_name(config_name)), path
            if path.suffix == Path(config_name).suffix:
                return path, require_file(weights)
        raise CheckpointError(f"{path}: not a model; expected a folder, a .safetensors file or a .pt file")
    config = locate_file(source, (OURS[0], PUBLISHED[0]))
    if path.is_dir():
        return config, require_file(config.with_name(OURS[1] if config.name == OURS[0] else PUBLISHED[1]))
    # the same commit as the configuration, should the repository change in between
    repo = f"{str(source).partition('@')[0]}@{config.parent.name}"
    return config, locate_file(repo, (OURS[1] if config.name == OURS[0] else PUBLISHED[1],))


def locate_file(source: str | os.PathLike[str], names: Sequence[str]) -> Path:
    """The first of `names` in a folder or Hub repository; or `source` itself, if it is a file."""
    path = Path(source)
    if path.is_file():
        return path
    if path.is_dir():
        found = [path / name for name in names if (path / name).is_file()]
        if not found:
            raise CheckpointError(f"{path}: no model in this folder; expected {' or '.join(names)}")
        return found[0]
    if isinstance(source, str) and HUB_ID.fullmatch(source):
        return _download(source, names)
    raise CheckpointError(f"{source}: no such file or folder, and not a Hub id (owner/name)")


def _download(hub_id: str, names: Sequence[str]) -> Path:
    """The first of `names` in a repository of the Hugging Face Hub, or in the local cache of it.

    HF_ENDPOINT, HF_HOME, HF_HUB_OFFLINE and HF_TOKEN are honoured.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError

    repo, _, revision = hub_id.partition("@")
    unreachable: Exception | None = None
    for name in names:
        try:
            offline = unreachable is not None  # asking again would only cost another round of retries
            return Path(hf_hub_download(repo, name, revision=revision or None, local_files_only=offline))
        except LocalEntryNotFoundError as error:
            unreachable = unreachable or error
        except EntryNotFoundError:
            continue
        except (HfHubHTTPError, OSError) as error:
            raise CheckpointError(f"{hub_id}: the Hub does not give it: {first_lines(error)}") from error
    if unreachable is not None:
        raise CheckpointError(
            f"{hub_id}: not in the local cache, and the Hub cannot be reached: {first_lines(unreachable)}"
        ) from unreachable
    raise CheckpointError(f"{hub_id}: no model in this Hub repository; expected {' or '.join(names)}")


def push_to_hub(folder: str | Path, repo: str) -> str:
    """Upload a folder written by `save` to the Hugging Face Hub (HF_TOKEN); returns its address."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    api = HfApi()
    try:
        api.create_repo(repo, exist_ok=True)
        commit = api.upload_folder(repo_id=repo, folder_path=folder, allow_patterns=[*OURS, "README.md"])
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise CheckpointError(f"{repo}: the Hub does not take it: {first_lines(error)}") from error
    return str(commit.repo_url)
