"""Models on disk: config.json + model.safetensors, and the layouts that other systems publish.

Nothing in a checkpoint is executed: weights are read by safetensors or by torch's `weights_only` reader.
"""

import math
import os
import pickle
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from sqa_model.errors import CheckpointError, ModelError
from sqa_model.network.model import Head, ModelConfig, MosModel
from sqa_model.network.wavlm import KERNELS, WavLM, WavLMConfig

DEFAULT = Path(__file__).parent.parent / "default"  # the model that the package brings along
OURS = ("config.json", "model.safetensors")
PUBLISHED = ("config.yaml", "model.pt")
HUGGING_FACE = ("model.safetensors", "pytorch_model.bin")  # of a WavLM alone
HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*(@[\w./-]+)?")


def load(source: str | os.PathLike[str] | None = None, *, device: str | torch.device = "cpu") -> MosModel:
    """A model, ready to score (eval mode).

    Args:
        source: a folder with config.json + model.safetensors or config.yaml + model.pt, one of these files, a
            Hugging Face Hub id `owner/name` or `owner/name@revision`; None is the model in the package.

    Raises: CheckpointError, which says what is missing or does not fit.
    """
    config_file, weights = _locate(source)
    read = _read_ours if weights.suffix == ".safetensors" else _read_published
    config, state = read(config_file, weights)
    with torch.device("meta"):  # nothing is initialised only to be overwritten
        model = MosModel(config)
    try:
        model.load_state_dict(state, assign=True)
    except RuntimeError as error:  # names or shapes that differ
        raise CheckpointError(
            f"{weights}: weights do not fit the configuration: {_first_lines(error)}"
        ) from error
    return model.to(device).eval()


def save(model: MosModel, folder: str | os.PathLike[str], *, dtype: torch.dtype | str = "float32") -> Path:
    """Write config.json + model.safetensors into `folder`, whole or not at all; returns the folder."""
    dtype = getattr(torch, dtype) if isinstance(dtype, str) else dtype
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    state = {name: value.to(dtype).contiguous() for name, value in model.state_dict().items()}
    part = folder / (OURS[1] + ".part")
    save_file(state, part, metadata={"format": "pt"})
    part.replace(folder / OURS[1])
    part = folder / (OURS[0] + ".part")
    part.write_text(model.config.to_json(), encoding="utf-8")
    part.replace(folder / OURS[0])
    return folder


def push_to_hub(folder: str | Path, repo: str) -> str:
    """Upload a folder written by `save` to the Hugging Face Hub (HF_TOKEN); returns its address."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    api = HfApi()
    try:
        api.create_repo(repo, exist_ok=True)
        commit = api.upload_folder(repo_id=repo, folder_path=folder, allow_patterns=[*OURS, "README.md"])
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise CheckpointError(f"{repo}: the Hub does not take it: {_first_lines(error)}") from error
    return str(commit.repo_url)


def _locate(source: str | os.PathLike[str] | None) -> tuple[Path, Path]:
    """(configuration, weights) of whatever names a model."""
    if source is None:
        if not (DEFAULT / OURS[1]).exists():
            raise CheckpointError(
                "this installation has no default model; pass model=..., a folder or a Hub id such as "
                "vvwangvv/universa-ext_wavlm-base_5metric"
            )
        return DEFAULT / OURS[0], DEFAULT / OURS[1]
    path = Path(source)
    if path.is_file():
        if path.suffix in (".safetensors", ".json"):
            return path.with_name(OURS[0]), path if path.suffix == ".safetensors" else path.with_name(OURS[1])
        if path.suffix in (".pt", ".yaml"):
            return path.with_name(PUBLISHED[0]), path if path.suffix == ".pt" else path.with_name(
                PUBLISHED[1]
            )
        raise CheckpointError(f"{path}: not a model; expected a folder, a .safetensors file or a .pt file")
    config = _locate_file(source, (OURS[0], PUBLISHED[0]))
    if path.is_dir():
        return config, config.with_name(OURS[1] if config.name == OURS[0] else PUBLISHED[1])
    # the same commit as the configuration, should the repository change in between
    repo = f"{str(source).partition('@')[0]}@{config.parent.name}"
    return config, _locate_file(repo, (OURS[1] if config.name == OURS[0] else PUBLISHED[1],))


def _locate_file(source: str | os.PathLike[str], names: Sequence[str]) -> Path:
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
            raise CheckpointError(f"{hub_id}: the Hub does not give it: {_first_lines(error)}") from error
    if unreachable is not None:
        raise CheckpointError(
            f"{hub_id}: not in the local cache, and the Hub cannot be reached: {_first_lines(unreachable)}"
        ) from unreachable
    raise CheckpointError(f"{hub_id}: no model in this Hub repository; expected {' or '.join(names)}")


def _read_weights(path: Path) -> dict[str, Any]:
    """The content of a .safetensors file or a torch file, memory-mapped; nothing is executed."""
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError as error:
        reason = _first_lines(error).split("WeightsUnpickler error:")[-1]
        raise CheckpointError(f"{path}: holds more than weights and would execute code: {reason}") from error
    except (SafetensorError, RuntimeError, EOFError, ValueError, OSError) as error:
        raise CheckpointError(f"{path}: cannot be read: {_first_lines(error)}") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: expected a dict of weights, found {type(content).__name__}")
    return content


def _read_ours(config: Path, weights: Path) -> tuple[ModelConfig, dict[str, Tensor]]:
    try:
        parsed = ModelConfig.from_json(config.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ModelError) as error:
        raise CheckpointError(f"{config}: {error}") from error
    return parsed, {name: value.float() for name, value in _read_weights(weights).items()}


# --- the published layout: model.pt + config.yaml ---


def _read_published(config: Path, weights: Path) -> tuple[ModelConfig, dict[str, Tensor]]:
    """Configuration and weights of a checkpoint of the reference system, in our names."""
    settings = read_hyperpyyaml(config)
    content = _read_weights(weights)
    theirs = content.get("model")
    if not isinstance(theirs, dict) or not all(isinstance(v, Tensor) for v in theirs.values()):
        raise CheckpointError(f"{weights}: expected a dict with the weights under 'model'")
    try:
        parsed = published_config(settings, theirs)
        return parsed, published_weights(theirs, parsed)
    except ModelError as error:
        raise CheckpointError(f"{weights}: {error}") from error


def published_config(settings: Mapping[str, Any], weights: Mapping[str, Tensor]) -> ModelConfig:
    """Our configuration from theirs: heads, rate, backbone from the YAML, sizes from the weights."""
    name = str(settings.get("ssl_model_name"))
    if "wavlm" not in name.lower():
        raise ModelError(f"ssl_model_name is {name!r}; expected a WavLM, such as microsoft/wavlm-base-plus")
    metrics = settings.get("metrics")
    if not isinstance(metrics, dict) or not all(isinstance(m, dict) for m in metrics.values()):
        raise ModelError(f"metrics is {metrics!r}; expected names with min and max")
    heads = [Head(n, _bound(m.get("min")), _bound(m.get("max"))) for n, m in metrics.items()]
    stored = [k.split(".")[1] for k in weights if k.startswith("metric2act.") and k.endswith(".min_value")]
    if stored != [h.name for h in heads]:
        raise ModelError(f"the weights have the heads {stored}, the configuration {[h.name for h in heads]}")
    for head in heads:
        for bound, kind in ((head.min, "min"), (head.max, "max")):
            value = _bound(weights[f"metric2act.{head.name}.{kind}_value"].item())
            if value != bound:
                raise ModelError(
                    f"head {head.name}: {kind} is {value} in the weights, {bound} in the configuration"
                )

    model = settings.get("model")
    encoder = model.get("encoder") if isinstance(model, dict) else None
    layer = encoder.get("encoder_layer", {}) if isinstance(encoder, dict) else {}
    if layer.get("activation", "relu") != "relu" or layer.get("norm_first", False):
        raise ModelError("the encoder is not post-norm with relu, the only kind supported")
    first = _take(weights, "encoder.layers.0.linear1.weight")
    return ModelConfig(
        backbone=wavlm_config(_below("feature_extractor.model.", weights)),
        heads=tuple(heads),
        sample_rate=int(settings.get("sample_rate", 16_000)),
        normalize="large" in name.lower(),  # as the feature extractor published with it does
        dim=first.shape[1],
        layers=1 + max(int(k.split(".")[2]) for k in weights if k.startswith("encoder.layers.")),
        attention_heads=int(layer.get("nhead", 8)),
        feedforward=first.shape[0],
        dropout=float(layer.get("dropout", 0.1)),
        extra={"converted_from": "urgent2026_sqa"},
    )


def published_weights(theirs: Mapping[str, Tensor], config: ModelConfig) -> dict[str, Tensor]:
    """Our state dict from theirs."""
    assert isinstance(config.backbone, WavLMConfig)
    backbone = wavlm_weights(_below("feature_extractor.model.", theirs), config.backbone)
    ours = {f"backbone.{name}": value for name, value in backbone.items()}
    ours["mix"] = _take(theirs, "feature_extractor.weights")
    for name, value in theirs.items():
        if name.startswith("encoder."):
            ours[name.replace("encoder.layers.", "encoder.")] = value
    for kind in ("weight", "bias"):
        ours[f"projection.{kind}"] = _take(theirs, f"feat_proj.0.{kind}")
        ours[f"norm.{kind}"] = _take(theirs, f"feat_proj.1.{kind}")
        ours[f"metrics.{kind}"] = _take(theirs, f"metric_proj.{kind}")
    return {k: v.float() for k, v in ours.items()}


def _bound(value: Any) -> float | None:
    """A finite bound, or None."""
    if value is None or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


class _InertLoader(yaml.SafeLoader):
    """YAML whose HyperPyYAML tags stay data: `!new:x {...}` is its mapping, and nothing is called."""


def _inert(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return node.value


for _tag in ("!new:", "!apply:", "!name:", "!module:"):
    _InertLoader.add_multi_constructor(_tag, _inert)
_InertLoader.add_constructor("!ref", lambda loader, node: _Reference(node.value))


class _Reference(str):
    """Text of a `!ref <name>`."""

    __slots__ = ()


def read_hyperpyyaml(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The plain data of a HyperPyYAML file: tags are dropped, `!ref <name>` of a top-level name is filled in.

    Nothing is imported or called. Any tag but HyperPyYAML's own is an error.
    """
    try:
        content = yaml.load(Path(path).read_text(encoding="utf-8"), _InertLoader)
    except yaml.constructor.ConstructorError as error:
        where = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise CheckpointError(f"{path}:{where}: {error.problem}; nothing but plain values is read") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise CheckpointError(f"{path}: cannot be read: {_first_lines(error)}") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: expected names and values, found {type(content).__name__}")
    return {str(k): _resolve(v, content) for k, v in content.items()}


def _resolve(value: Any, content: Mapping[str, Any]) -> Any:
    """`value` with references to top-level names replaced by what they name."""
    if isinstance(value, _Reference):
        name = value.strip("<>")
        return content.get(name, str(value)) if not isinstance(content.get(name), _Reference) else str(value)
    if isinstance(value, dict):
        return {k: _resolve(v, content) for k, v in value.items()}
    return [_resolve(v, content) for v in value] if isinstance(value, list) else value


def _first_lines(error: BaseException) -> str:
    """The beginning of a long message, on one line."""
    text = " ".join(str(error).split())
    return text if len(text) < 400 else text[:400] + " ..."


# --- WavLM in other systems' names ---


def load_backbone(backbone: torch.nn.Module, source: str | os.PathLike[str]) -> None:
    """Fill a WavLM with published weights.

    Args:
        source: a folder or Hub id (`microsoft/wavlm-base-plus`) with model.safetensors or pytorch_model.bin, a
            file of weights in Hugging Face's or torchaudio's names, or `torchaudio:WAVLM_BASE_PLUS`.

    Raises: CheckpointError where there is no such source, or it does not fit.
    """
    if not isinstance(backbone, WavLM):
        raise CheckpointError(f"{source}: published weights are for WavLM, not {type(backbone).__name__}")
    name = str(source)
    if name.startswith("torchaudio:"):
        try:
            import torchaudio  # of the extra `torchaudio`; nothing else here needs it
        except (ImportError, OSError) as error:  # OSError: built for another torch
            raise CheckpointError(
                f"{name}: torchaudio cannot be imported ({error}); pip install 'sqa-model[torchaudio]', "
                f"or name the weights by a Hub id such as microsoft/wavlm-base-plus"
            ) from error
        bundle = getattr(torchaudio.pipelines, name.removeprefix("torchaudio:"), None)
        if bundle is None:
            raise CheckpointError(
                f"{name}: torchaudio has no such model; expected torchaudio:WAVLM_BASE_PLUS"
            )
        theirs = bundle.get_model().state_dict()
    else:
        theirs = _read_weights(_locate_file(source, HUGGING_FACE))
    try:
        backbone.load_state_dict(wavlm_weights(theirs, backbone.config))
    except (ModelError, RuntimeError) as error:
        raise CheckpointError(f"{source}: weights do not fit the backbone: {_first_lines(error)}") from error


# Hugging Face `WavLMModel` name -> ours, for everything that is a plain renaming
WAVLM_NAMES = {
    r"feature_extractor\.conv_layers\.(\d+)\.layer_norm\.": r"convolutions.norms.\1.",
    r"feature_projection\.layer_norm\.": "norm.",
    r"feature_projection\.projection\.": "projection.",
    r"encoder\.pos_conv_embed\.conv\.": "position.",
    r"encoder\.layer_norm\.": "input_norm.",
    r"encoder\.layers\.0\.attention\.rel_attn_embed\.": "position_bias.",
    r"encoder\.layers\.(\d+)\.attention\.gru_rel_pos_const": r"layers.\1.gate.scale",
    r"encoder\.layers\.(\d+)\.attention\.gru_rel_pos_linear\.": r"layers.\1.gate.",
    r"encoder\.layers\.(\d+)\.attention\.": r"layers.\1.attention.",
    r"encoder\.layers\.(\d+)\.layer_norm\.": r"layers.\1.attention_norm.",
    r"encoder\.layers\.(\d+)\.feed_forward\.intermediate_dense\.": r"layers.\1.expand.",
    r"encoder\.layers\.(\d+)\.feed_forward\.output_dense\.": r"layers.\1.reduce.",
    r"encoder\.layers\.(\d+)\.final_layer_norm\.": r"layers.\1.norm.",
}


def wavlm_weights(theirs: Mapping[str, Tensor], config: WavLMConfig) -> dict[str, Tensor]:
    """Our `WavLM` state dict from that of a Hugging Face `WavLMModel` or a torchaudio `wavlm_*` model.

    Convolutions become linear layers of windows, weight norm is folded, q, k and v are joined, and the gate's
    eight outputs become the two sums that are used.
    """
    theirs = {_plain_name(name): value for name, value in theirs.items()}
    ours: dict[str, Tensor] = {}
    for name, value in theirs.items():
        for pattern, replacement in WAVLM_NAMES.items():
            renamed, hits = re.subn("^" + pattern, replacement, name)
            if hits:
                ours[renamed] = value
                break

    ours["convolutions.first"] = _take(theirs, "feature_extractor.conv_layers.0.conv.weight").squeeze(1)
    for i in range(1, len(KERNELS)):
        weight = _take(theirs, f"feature_extractor.conv_layers.{i}.conv.weight")  # (out, in, kernel)
        ours[f"convolutions.rest.{i - 1}.weight"] = weight.transpose(1, 2).flatten(1)
    if config.pre_norm:  # the norm after the last layer is in no state
        ours = {k: v for k, v in ours.items() if not k.startswith("input_norm.")}
    else:  # one norm, of the first layer, over time
        ours["convolutions.scale"] = ours.pop("convolutions.norms.0.weight")
        ours["convolutions.shift"] = ours.pop("convolutions.norms.0.bias")

    if "position.weight_g" in ours:
        g, v = (
            ours.pop("position.weight_g"),
            ours.pop("position.weight_v"),
        )  # norm over all but the kernel axis
        ours["position.weight"] = g * v / v.norm(dim=(0, 1), keepdim=True)
    for i in range(config.layers):
        attention, gate = f"layers.{i}.attention.", f"layers.{i}.gate."
        for kind in ("weight", "bias"):
            if f"{attention}in_proj_{kind}" not in ours:
                names = [f"{attention}{x}_proj.{kind}" for x in "qkv"]
                ours[f"{attention}in_proj_{kind}"] = torch.cat([_take(ours, n) for n in names])
                ours = {n: v for n, v in ours.items() if n not in names}
            ours[gate + kind] = _take(ours, gate + kind).unflatten(0, (2, 4)).sum(1)
        ours[gate + "scale"] = _take(ours, gate + "scale").flatten()
    return ours


def _plain_name(name: str) -> str:
    """A Hugging Face name as it is; torchaudio's, and the newer spelling of weight norm, turned into it."""
    for pattern, replacement in (
        (r"^(model|wavlm)\.", ""),  # of a model with a task on top
        (r"^encoder\.(feature_projection)\.", r"\1."),
        (r"^encoder\.transformer\.", "encoder."),
        (r"\.attention\.attention\.", ".attention."),
        (r"parametrizations\.weight\.original0$", "weight_g"),
        (r"parametrizations\.weight\.original1$", "weight_v"),
    ):
        name = re.sub(pattern, replacement, name)
    return name


def wavlm_config(theirs: Mapping[str, Tensor]) -> WavLMConfig:
    """Sizes of a WavLM from its weights, in Hugging Face's names."""
    theirs = {_plain_name(name): value for name, value in theirs.items()}
    channels, dim = _take(theirs, "feature_projection.projection.weight").shape[::-1]
    position = _take(theirs, "encoder.pos_conv_embed.conv.weight_v")  # (dim, dim / groups, kernel)
    buckets, heads = _take(theirs, "encoder.layers.0.attention.rel_attn_embed.weight").shape
    return WavLMConfig(
        dim=dim,
        layers=1 + max(int(k.split(".")[2]) for k in theirs if k.startswith("encoder.layers.")),
        heads=heads,
        feedforward=_take(theirs, "encoder.layers.0.feed_forward.intermediate_dense.weight").shape[0],
        channels=channels,
        pre_norm="feature_extractor.conv_layers.1.layer_norm.weight" in theirs,
        position_kernel=position.shape[2],
        position_groups=dim // position.shape[1],
        buckets=buckets,
    )


def _below(prefix: str, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights whose names start with `prefix`, without it."""
    return {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}


def _take(weights: Mapping[str, Tensor], name: str) -> Tensor:
    if name not in weights:
        raise ModelError(f"checkpoint has no {name!r}; expected the layout of a Hugging Face WavLMModel")
    return weights[name]
