"""Models on disk: config.json + model.safetensors; the layouts that other systems publish are read too.

Nothing in a checkpoint is executed: weights are read by safetensors or by torch's `weights_only` reader.
"""

import os
from pathlib import Path

import torch
from safetensors.torch import save_file
from sqa_data.atomic import atomic_path, atomic_write

from sqa_model.checkpoint.files import first_lines, read_text
from sqa_model.checkpoint.locate import OURS, locate
from sqa_model.checkpoint.shards import read_weights
from sqa_model.checkpoint.tensors import check_shapes, fill, read_shapes, read_tensors
from sqa_model.errors import CheckpointError, ModelError
from sqa_model.network.config import ModelConfig
from sqa_model.network.model import MosModel


def load(
    source: str | os.PathLike[str] | None = None,
    *,
    config: str | os.PathLike[str] | None = None,
    device: str | torch.device = "cpu",
) -> MosModel:
    """A model, ready to score (eval mode).

    Args:
        source: a folder with config.json + model.safetensors, config.yaml + model.pt or UrgentMOS's model.pt alone,
            one of these files, a Hugging Face Hub id `owner/name` or `owner/name@revision`; `default-1` is the first
            edition of the model in the package, `default` or None the newest. In an experiment folder of the baseline,
            model_last.pt, or the newest of model_1000.pt, model_2000.pt, ...
        config: its configuration, where that is not beside the weights.

    Raises: CheckpointError, which says what is missing or does not fit.
    """
    config_file, weights = locate(source, config)
    if weights.suffix == ".safetensors":
        try:
            parsed = ModelConfig.from_json(read_text(config_file))
        except CheckpointError:
            raise
        except ModelError as error:
            raise CheckpointError(f"{config_file}: {error}") from error
        model = _empty(parsed)
        check_shapes(model, read_shapes(weights), weights)  # before anything large is read
        state = read_tensors(weights)
    else:
        from sqa_model.checkpoint.published import read_published, require_newest

        if source is not None and Path(source).is_dir():
            require_newest(weights)
        parsed, state = read_published(config_file, weights)
        model = _empty(parsed)
    fill(model, state, weights)
    return model.to(device).eval()


def _empty(config: ModelConfig) -> MosModel:
    """A model without memory: nothing is initialised only to be overwritten."""
    with torch.device("meta"):
        return MosModel(config)


def save(model: MosModel, folder: str | os.PathLike[str], *, dtype: torch.dtype | str = "float32") -> Path:
    """Write config.json + model.safetensors into `folder`, each whole or not at all; returns the folder."""
    dtype = getattr(torch, dtype) if isinstance(dtype, str) else dtype
    folder = Path(folder)
    state = {name: value.detach().to(dtype).contiguous() for name, value in model.state_dict().items()}
    with atomic_path(folder / OURS[1]) as part:
        save_file(state, part, metadata={"format": "pt"})
    with atomic_write(folder / OURS[0]) as file:
        file.write(model.config.to_json().encode())
    return folder


def load_backbone(backbone: torch.nn.Module, source: str | os.PathLike[str]) -> None:
    """Fill an encoder with published weights.

    Args:
        backbone: a WavLM, or an encoder of transformers.
        source: a folder or Hub id (`microsoft/wavlm-base-plus`) with model.safetensors or pytorch_model.bin, each whole
            or in shards, a file of weights in Hugging Face's or (of a WavLM) torchaudio's names, or
            `torchaudio:WAVLM_BASE_PLUS`.

    Raises: CheckpointError where there is no such source, or it does not fit.
    """
    from sqa_model.checkpoint.hugging_face import encoder_weights
    from sqa_model.checkpoint.names import wavlm_weights
    from sqa_model.network.hugging_face import HuggingFaceBackbone
    from sqa_model.network.wavlm import WavLM

    if not isinstance(backbone, WavLM | HuggingFaceBackbone):
        raise CheckpointError(f"{source}: there are no published weights of a {type(backbone).__name__}")
    theirs = _from_torchaudio(str(source)) if str(source).startswith("torchaudio:") else read_weights(source)
    try:
        if isinstance(backbone, WavLM):
            state = wavlm_weights(theirs, backbone.config)
        else:
            state = encoder_weights(theirs, backbone)
        fill(backbone, state, Path(source))
    except ModelError as error:
        raise CheckpointError(f"{source}: weights do not fit the backbone: {first_lines(error)}") from error


def _from_torchaudio(name: str) -> dict[str, torch.Tensor]:
    try:
        import torchaudio  # of the extra `torchaudio`; nothing else here needs it
    except (ImportError, OSError) as error:  # OSError: built for another torch
        raise CheckpointError(
            f"{name}: torchaudio cannot be imported ({error}); pip install 'sqa-model[torchaudio]', "
            "or name the weights by a Hub id such as microsoft/wavlm-base-plus"
        ) from error
    bundle = getattr(torchaudio.pipelines, name.removeprefix("torchaudio:"), None)
    if bundle is None:
        raise CheckpointError(f"{name}: torchaudio has no such model; expected torchaudio:WAVLM_BASE_PLUS")
    weights: dict[str, torch.Tensor] = bundle.get_model().state_dict()
    return weights
