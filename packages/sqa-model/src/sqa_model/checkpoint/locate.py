"""Where a model lies: a name becomes two files, on this machine, in this package or from the Hugging Face Hub.

What exists on this machine comes first: a folder called `default-1` hides the edition of that name, as a folder
`owner/name` hides the Hub's. A path that is no string never names an edition, nor does `./default-1`.
"""

import os
import re
import zipfile
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
LAST = "model_last.pt"  # what the baseline saves when a run ends; before that, model_1000.pt and so on
SAVED = re.compile(r"model_(\d{1,18})\.pt")
# configuration -> the weights that may lie beside it, the first that is there
WEIGHTS = {OURS[0]: (OURS[1],), PUBLISHED[0]: (PUBLISHED[1], LAST)}
ALL_WEIGHTS = tuple(name for names in WEIGHTS.values() for name in names)
ELSEWHERE = "a configuration that lies elsewhere is named by --config FILE (config=)"
# stands in the weights that hold their configuration, as UrgentMOS's do; in those of the baseline it never does
SELF_DESCRIBED = b"category2metrics"
LONGEST_PICKLE = 1 << 26  # bytes of a torch file's names and shapes; of 353 weights and their moments 1e5
INDEX = ".index.json"  # behind the name of weights in several files: says which weight lies where
# weights of an encoder alone, the first that are there, as transformers chooses
HUGGING_FACE = tuple(name + end for name in ("model.safetensors", "pytorch_model.bin") for end in ("", INDEX))
HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*(@[\w./-]+)?")


def check_name(source: str | os.PathLike[str] | None, config: str | os.PathLike[str] | None = None) -> None:
    """Raise `CheckpointError` for what cannot name a model; the Hub is not asked, nothing is imported."""
    if not (isinstance(source, str) and not Path(source).exists() and HUB_ID.fullmatch(source)):
        locate(source, config)
    elif config is not None:
        require_file(Path(config))


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


def edition_name(source: str) -> str:
    """The lasting name of an edition that is called "default"; any other source as it is.

    >>> edition_name("default-1"), edition_name("models/mine")
    ('default-1', 'models/mine')
    """
    if source != "default" or Path(source).exists():
        return source
    return f"default-{edition().name}"


def locate(
    source: str | os.PathLike[str] | None, config: str | os.PathLike[str] | None = None
) -> tuple[Path, Path]:
    """(configuration, weights) of whatever names a model; `config` is the first where it lies elsewhere.

    Where the weights hold their configuration and none lies beside them, they are both.
    """
    if source is None:
        source = edition()
    elif isinstance(source, str) and EDITION.fullmatch(source) and not Path(source).exists():
        source = edition(source)
    path = Path(source)
    if config is not None:
        return require_file(Path(config)), path if path.is_file() else _weights(source, ALL_WEIGHTS)
    if weights := _self_described(path):
        return weights, weights
    if path.is_file():
        for config_name, weights_names in WEIGHTS.items():
            if path.suffix == Path(weights_names[0]).suffix:
                return require_file(path.with_name(config_name), ELSEWHERE), path
            if path.suffix == Path(config_name).suffix:
                return path, _weights(path.parent, weights_names)
        raise CheckpointError(f"{path}: not a model; expected a folder, a .safetensors file or a .pt file")
    found = locate_file(source, tuple(WEIGHTS) if path.is_dir() else (*WEIGHTS, PUBLISHED[1]))
    if path.is_dir():
        return found, _weights(path, WEIGHTS[found.name])
    if found.name == PUBLISHED[1]:
        return found, found
    return found, locate_beside(source, found, *WEIGHTS[found.name])


def _self_described(path: Path) -> Path | None:
    """The weights in a folder, or the file itself, if they hold their configuration, as UrgentMOS's do."""
    if path.is_dir():
        if (path / OURS[0]).is_file():
            return None
        saved = saved_by_updates(path)
        found = [path / name for name in WEIGHTS[PUBLISHED[0]] if (path / name).is_file()]
        path = (found or ([saved[max(saved)]] if saved else [path]))[0]
    return path if path.is_file() and path.suffix == ".pt" and _holds_configuration(path) else None


def _holds_configuration(path: Path) -> bool:
    """Whether UrgentMOS's configuration stands in a torch file; its bytes are searched, and nothing is executed."""
    try:
        with zipfile.ZipFile(path) as archive:
            found = [item for item in archive.infolist() if item.filename.endswith("/data.pkl")]
            if len(found) != 1 or found[0].file_size > LONGEST_PICKLE:
                return False
            return SELF_DESCRIBED in archive.read(found[0])
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError):
        return False


def _weights(source: str | os.PathLike[str], names: Sequence[str]) -> Path:
    """The weights of a model whose configuration is known: one of `names`, or the newest that the baseline saved."""
    path = Path(source)
    if path.is_dir() and not any((path / name).is_file() for name in names):
        saved = saved_by_updates(path)
        if saved and PUBLISHED[1] in names:
            return saved[max(saved)]
    return locate_file(source, names)


def saved_by_updates(folder: Path) -> dict[int, Path]:
    """The checkpoints `model_1000.pt`, `model_2000.pt`, ... of a run of the baseline, by their updates."""
    found = {path: SAVED.fullmatch(path.name) for path in folder.glob("model_*.pt")}
    return {int(match[1]): path for path, match in found.items() if match and path.is_file()}


def locate_file(source: str | os.PathLike[str], names: Sequence[str]) -> Path:
    """The first of `names` in a folder or Hub repository; or `source` itself, if it is a file."""
    path = Path(source)
    if path.is_file():
        return path
    if path.is_dir():
        found = [path / name for name in names if (path / name).is_file()]
        if not found:
            remedy = f"; {ELSEWHERE}" if PUBLISHED[0] in names else ""
            raise CheckpointError(f"{path}: no model in this folder; expected {' or '.join(names)}{remedy}")
        return found[0]
    if isinstance(source, str) and HUB_ID.fullmatch(source):
        return _download(source, names)
    raise CheckpointError(f"{source}: no such file or folder, and not a Hub id (owner/name)")


def locate_beside(source: str | os.PathLike[str], found: Path, *names: str) -> Path:
    """The first of `names` beside a file that was found in `source`."""
    if Path(source).exists():
        return locate_file(found.parent, names)
    # the same commit, should the repository change in between
    return locate_file(f"{str(source).partition('@')[0]}@{found.parent.name}", names)


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


def push_to_hub(folder: str | Path, repo: str, files: Sequence[str] = OURS) -> str:
    """Upload the `files` of a model and its card to the Hugging Face Hub (HF_TOKEN); returns its address."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    api = HfApi()
    try:
        api.create_repo(repo, exist_ok=True)
        commit = api.upload_folder(repo_id=repo, folder_path=folder, allow_patterns=[*files, "README.md"])
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise CheckpointError(f"{repo}: the Hub does not take it: {first_lines(error)}") from error
    return str(commit.repo_url)
