"""Weights: read without executing anything, held against a model before it takes them."""

import pickle
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from sqa_model.checkpoint.files import first_lines, require_file
from sqa_model.errors import CheckpointError

Shape = tuple[int, ...]


def read_tensors(path: Path) -> dict[str, Any]:
    """The content of a .safetensors file or a torch file, memory-mapped; nothing is executed."""
    require_file(path)
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path, device="cpu"))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pickles by others than torch, which are refused
            # files of before torch 1.6 are no archives, which alone can be mapped
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=is_zipfile(path))
    except pickle.UnpicklingError as error:
        # before it torch advises to execute the file
        _, _, reason = str(error).partition("WeightsUnpickler error: ")
        what = reason.partition("\n")[0] or "a pickle by another program than torch"
        raise CheckpointError(f"{path}: holds more than weights and would execute code: {what}") from error
    except (SafetensorError, RuntimeError, EOFError, ValueError, OSError) as error:
        raise CheckpointError(f"{path}: cannot be read: {first_lines(error)}") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: expected a dict of weights, found {type(content).__name__}")
    return content


def read_shapes(path: Path) -> dict[str, Shape]:
    """Names and shapes of a .safetensors file, from its header alone."""
    require_file(path)
    try:
        with safe_open(path, framework="pt") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: cannot be read: {first_lines(error)}") from error


def check_shapes(model: nn.Module, found: Mapping[str, Shape], path: Path) -> None:
    """Raise `CheckpointError` unless these are the weights of this model, by name and shape."""
    expected = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    wrong = [
        f"{name} is {list(found[name])}, expected {list(shape)}"
        for name, shape in expected.items()
        if name in found and found[name] != shape
    ]
    said = [
        *(f"{len(wrong)} differ in shape: {wrong[0]}" for _ in wrong[:1]),
        *_named(expected.keys() - found.keys(), "are missing"),
        *_named(found.keys() - expected.keys(), "are unknown"),
    ]
    if said:
        raise CheckpointError(f"{path}: weights do not fit the configuration: {'; '.join(said)}")


def _named(names: Iterable[str], what: str) -> list[str]:
    found = sorted(names)
    return [f"{len(found)} {what}, such as {found[0]}"] if found else []


def fill(model: nn.Module, weights: Mapping[str, Tensor], path: Path) -> None:
    """Give a model (on any device, also meta) these weights, as fp32; raise `CheckpointError` where they cannot be."""
    check_shapes(model, {name: tuple(value.shape) for name, value in weights.items()}, path)
    state = {}
    for name, value in weights.items():
        if not value.is_floating_point():
            raise CheckpointError(f"{path}: {name} holds {value.dtype}; expected floating-point numbers")
        state[name] = value.float()
        bad = value.numel() - int(state[name].isfinite().sum())
        if bad:
            raise CheckpointError(
                f"{path}: {bad} of the {value.numel()} numbers of {name} are NaN or infinite; the file is damaged "
                "or its training failed"
            )
    model.load_state_dict(state, assign=True)
