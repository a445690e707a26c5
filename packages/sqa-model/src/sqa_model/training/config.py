"""TrainConfig: every number of a run as typed dataclasses, read from TOML, overridden by `name=value`.

Nothing in a config is executable. Whatever is wrong is reported with the dotted name of its field. The resolved
config is saved as JSON in the run folder and reads back equal.
"""

import dataclasses
import difflib
import json
import math
import tomllib
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from sqa_model.errors import ModelError
from sqa_model.training.loss import LossConfig
from sqa_model.training.sampler import BatchConfig


class ConfigError(ModelError):
    """A training configuration that cannot be used; the message names the field."""


def require(condition: bool, name: str, found: object, expected: str) -> None:
    """Raise `ConfigError` naming the field unless `condition` holds."""
    if not condition:
        raise ConfigError(f"{name}: found {found!r}, expected {expected}")


@dataclass(frozen=True)
class DataConfig:
    """What is learned from and what it is measured on.

    train, dev: manifest paths or globs.
    weights: how often each corpus is used in an epoch, 1 if not named; 0 leaves it out.
    balance: give every corpus the same number of clips in an epoch (before `weights`).
    max_seconds: longer clips are cut to a window of this length, at a place drawn anew each epoch (drawn once with
        a feature cache); development clips are never cut.
    out_of_range: a label outside its head's range stops the run ("error"), is ignored ("mask") or is moved to the
        nearest bound ("clip").
    max_unreadable: audio files that may fail; each is skipped and counted, one more stops the run.
    cache: folder where a frozen backbone's states are kept (in half precision) from the first epoch on, so that
        later epochs skip the backbone; none: computed anew each time.
    """

    train: tuple[str, ...] = ()
    dev: tuple[str, ...] = ()
    weights: dict[str, float] = field(default_factory=dict)
    balance: bool = False
    max_seconds: float = 30.0
    out_of_range: Literal["error", "mask", "clip"] = "error"
    max_unreadable: int = 10
    cache: str | None = None

    def __post_init__(self) -> None:
        for name, weight in self.weights.items():
            require(weight >= 0, f"data.weights.{name}", weight, "0 or more")
        require(self.max_seconds > 0, "data.max_seconds", self.max_seconds, "a number above 0")
        require(self.max_unreadable >= 0, "data.max_unreadable", self.max_unreadable, "0 or more")


@dataclass(frozen=True)
class OptimConfig:
    """AdamW and its schedule, counted in updates (so neither processes nor accumulation change it).

    lr: peak learning rate.
    backbone_lr: that of the backbone's unfrozen layers; none: the same.
    unfreeze: how many of the backbone's last layers learn; 0: none (frozen, evaluation mode), -1: all of it.
    schedule: after `warmup` updates of linear rise, "linear" and "cosine" fall to 0 at the end of the run.
    clip: largest gradient norm; none: not clipped.
    ema: decay of the averaged weights that are evaluated and saved; none: not averaged.
    """

    lr: float = 3e-5
    backbone_lr: float | None = None
    unfreeze: int = 0
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.999)
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    warmup: int = 2500
    clip: float | None = 1.0
    ema: float | None = None

    def __post_init__(self) -> None:
        require(self.lr > 0, "optim.lr", self.lr, "a number above 0")
        require(
            self.backbone_lr is None or self.backbone_lr > 0, "optim.backbone_lr", self.backbone_lr, "above 0"
        )
        require(
            self.unfreeze >= -1, "optim.unfreeze", self.unfreeze, "-1 (all), 0 (none) or a number of layers"
        )
        require(self.weight_decay >= 0, "optim.weight_decay", self.weight_decay, "0 or more")
        require(all(0 <= b < 1 for b in self.betas), "optim.betas", self.betas, "two numbers in [0, 1)")
        require(self.warmup >= 0, "optim.warmup", self.warmup, "0 or more updates")
        require(self.clip is None or self.clip > 0, "optim.clip", self.clip, "a number above 0, or none")
        require(self.ema is None or 0 < self.ema < 1, "optim.ema", self.ema, "a number in (0, 1), or none")


@dataclass(frozen=True)
class EvalConfig:
    """When the development set is measured and which checkpoint is the best one.

    every: updates between evaluations (and saves); none: once an epoch. The last update is always evaluated.
    head: the head that chooses.
    metric: "system_srcc", "utterance_lcc", ...; several corpora count the same. Ties, and development sets
        without systems, are decided by utterance SRCC.
    patience: stop after this many evaluations without a better one; none: never.
    """

    every: int | None = 1000
    head: str = "mos"
    metric: str = "system_srcc"
    patience: int | None = None

    def __post_init__(self) -> None:
        require(self.every is None or self.every >= 1, "eval.every", self.every, "1 or more updates, or none")
        known = [f"{level}_{m}" for level in ("system", "utterance") for m in ("mse", "lcc", "srcc", "ktau")]
        require(self.metric in known, "eval.metric", self.metric, f"one of {', '.join(known)}")
        require(
            self.patience is None or self.patience >= 1, "eval.patience", self.patience, "1 or more, or none"
        )


@dataclass(frozen=True)
class RunConfig:
    """How the machine is used. This changes no result (but for rounding), so a run may be resumed otherwise.

    device: "auto" takes CUDA where there is one.
    threads: of each process's CPU kernels; none: torch's own choice. Use 1 where others use the cores too.
    workers: threads that read audio. ahead: updates that they read in advance.
    checkpointing: compute activations again for the backward pass: saves memory, costs time.
    save_minutes: time between checkpoints where there are no evaluations.
    tensorboard: write TensorBoard events beside metrics.jsonl.
    """

    device: str = "auto"
    threads: int | None = None
    workers: int = 2
    ahead: int = 2
    checkpointing: bool = False
    save_minutes: float = 10.0
    tensorboard: bool = True

    def __post_init__(self) -> None:
        require(self.threads is None or self.threads >= 1, "run.threads", self.threads, "1 or more, or none")
        require(self.workers >= 1, "run.workers", self.workers, "1 or more")
        require(self.ahead >= 1, "run.ahead", self.ahead, "1 or more")
        require(
            self.save_minutes >= 0, "run.save_minutes", self.save_minutes, "0 (after every update) or more"
        )


@dataclass(frozen=True)
class NetConfig:
    """The network to train, see `ModelConfig`.

    heads: the labels to predict, in order; their ranges are `sqa_data.labels.RANGES`. A head `mos_std` beside
        `mos` predicts the standard deviation of the error of `mos` and needs `loss.kind = "nll"`.
    backbone: a name in `sqa_model.network.backbones.BACKBONES`.
    pretrained: folder or Hub id of published weights for the backbone; none: random weights.
    sizes: fields of the backbone's own configuration that differ from its defaults.
    pooling: how frames become a clip: their mean, or a mean with learned weights.
    normalize: scale every waveform to mean 0 and variance 1, so that its level does not matter.
    init: a checkpoint to start from; its own configuration then counts instead of everything else here.
    """

    heads: tuple[str, ...] = ("mos",)
    backbone: str = "wavlm-base-plus"
    pretrained: str | None = None
    sizes: dict[str, int] = field(default_factory=dict)
    dim: int = 768
    layers: int = 6
    attention_heads: int = 8
    feedforward: int = 2048
    dropout: float = 0.1
    pooling: Literal["mean", "attention"] = "mean"
    normalize: bool = False
    init: str | None = None

    def __post_init__(self) -> None:
        for name in ("dim", "attention_heads", "feedforward"):
            require(getattr(self, name) >= 1, f"model.{name}", getattr(self, name), "1 or more")
        require(self.layers >= 0, "model.layers", self.layers, "0 or more")
        require(0 <= self.dropout < 1, "model.dropout", self.dropout, "a number in [0, 1)")
        require(len(self.heads) > 0, "model.heads", self.heads, "at least one label")


@dataclass(frozen=True)
class TrainConfig:
    """A training run, in the sections of its TOML file.

    precision: of the matrix products; the weights are always fp32.
    """

    seed: int = 42
    epochs: int = 5
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    model: NetConfig = field(default_factory=NetConfig)
    data: DataConfig = field(default_factory=DataConfig)
    batch: BatchConfig = field(default_factory=BatchConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    eval: EvalConfig = field(default_factory=EvalConfig)
    run: RunConfig = field(default_factory=RunConfig)

    def __post_init__(self) -> None:
        require(self.epochs >= 1, "epochs", self.epochs, "1 or more")
        require(self.seed >= 0, "seed", self.seed, "0 or more")
        require(
            self.data.max_seconds <= (self.batch.micro_seconds or self.batch.seconds),
            "data.max_seconds",
            self.data.max_seconds,
            "no more than batch.seconds and batch.micro_seconds, so that every clip fits a batch",
        )


def presets() -> tuple[str, ...]:
    """Names of the presets in the package.

    >>> presets()
    ('mini', 'universa-ext-22metric', 'universa-ext-5metric', 'universa-ext-mos-only')
    """
    files = resources.files("sqa_model").joinpath("presets").iterdir()
    return tuple(sorted(f.name.removesuffix(".toml") for f in files if f.name.endswith(".toml")))


def load_config(
    preset: str | None = None, file: str | Path | None = None, overrides: Iterable[str] = ()
) -> TrainConfig:
    """A preset, changed by a TOML file, changed by `name=value` overrides; each may be left out.

    A value is written as in TOML (`3e-4`, `true`, `["a.jsonl"]`), a bare word is a string, `none` switches an
    optional field off. Raises `ConfigError` naming the field.

    >>> load_config("mini", overrides=["optim.lr=1e-4", "run.device=cpu"]).optim.lr
    0.0001
    """
    table: dict[str, Any] = {}
    if preset is not None:
        require(preset in presets(), "preset", preset, f"one of {', '.join(presets())}")
        table = tomllib.loads(
            resources.files("sqa_model").joinpath(f"presets/{preset}.toml").read_text("utf-8")
        )
    if file is not None:
        _merge(table, _read_toml(Path(file)))
    for override in overrides:
        _merge(table, _override(override))
    config: TrainConfig = parse(TrainConfig, table)
    return config


def parse(kind: Any, value: Any, name: str = "") -> Any:
    """`value` (from TOML or JSON) as the type `kind`, checked all the way down; `name` is its dotted place.

    >>> parse(BatchConfig, {"seconds": 60, "micro_seconds": "none"})
    BatchConfig(seconds=60.0, clips=128, micro_seconds=None)
    """
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        if not isinstance(value, Mapping):
            raise _wrong(name, value, "a table")
        hints = typing.get_type_hints(kind)
        names = [f.name for f in dataclasses.fields(kind)]
        for key in value:
            if key not in names:
                close = difflib.get_close_matches(key, names, 1)
                hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(names)}"
                raise ConfigError(f"{_join(name, key)}: no such field; {hint}")
        return kind(**{key: parse(hints[key], item, _join(name, key)) for key, item in value.items()})
    if origin in (types.UnionType, typing.Union):  # X | None, the only union there is
        inner = next(a for a in arguments if a is not type(None))
        return None if value is None or value == "none" else parse(inner, value, name)
    if origin is Literal:
        if value not in arguments:
            raise _wrong(name, value, f"one of {', '.join(arguments)}")
        return value
    if origin is tuple:
        items = [value] if isinstance(value, str) else value
        if not isinstance(items, list | tuple):
            raise _wrong(name, value, "a list")
        if arguments[-1] is not Ellipsis and len(items) != len(arguments):
            raise _wrong(name, value, f"a list of {len(arguments)}")
        return tuple(parse(arguments[0], item, f"{name}[{i}]") for i, item in enumerate(items))
    if origin is dict:
        if not isinstance(value, Mapping):
            raise _wrong(name, value, "a table of name = value")
        return {str(key): parse(arguments[1], item, _join(name, str(key))) for key, item in value.items()}
    if (
        kind is float
        and isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
    ):
        return float(value)
    if kind in (int, str, bool) and type(value) is kind:
        return value
    expected = {float: "a finite number", int: "a whole number", str: "a string", bool: "true or false"}
    raise _wrong(name, value, expected[kind])


def to_json(config: TrainConfig) -> str:
    """The config as JSON text, every field written out; `from_json` gives it back equal.

    >>> from_json(to_json(TrainConfig())) == TrainConfig()
    True
    """
    return json.dumps(dataclasses.asdict(config), indent=2) + "\n"


def from_json(text: str, source: str = "config.json") -> TrainConfig:
    """Read what `to_json` wrote; `source` is named in errors."""
    try:
        config: TrainConfig = parse(TrainConfig, json.loads(text))
    except json.JSONDecodeError as error:
        raise ConfigError(
            f"{source}: not JSON ({error}); the run folder is damaged, start in a new one"
        ) from error
    return config


def differences(old: TrainConfig, new: TrainConfig) -> list[str]:
    """The fields in which two configs differ, `run` left out: `name: old -> new`.

    >>> differences(TrainConfig(), TrainConfig(seed=7, run=RunConfig(workers=4)))
    ['seed: 42 -> 7']
    """
    one, other = _flat(dataclasses.asdict(old)), _flat(dataclasses.asdict(new))
    return [
        f"{name}: {one.get(name)} -> {other.get(name)}"
        for name in sorted(one.keys() | other.keys())
        if one.get(name) != other.get(name) and not name.startswith("run.")
    ]


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot read the config: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not TOML ({error})") from error


def _override(text: str) -> dict[str, Any]:
    """`optim.lr=1e-4` -> {"optim": {"lr": 1e-4}}."""
    name, equals, raw = text.partition("=")
    if not equals or not name.strip():
        raise ConfigError(f"--set {text}: expected name=value, for example optim.lr=1e-4")
    try:
        value = tomllib.loads(f"value = {raw}")["value"]
    except tomllib.TOMLDecodeError:
        value = raw.strip()  # a bare word
    for part in reversed(name.strip().split(".")):
        value = {part: value}
    return typing.cast(dict[str, Any], value)


def _merge(table: dict[str, Any], over: Mapping[str, Any]) -> None:
    """Put `over` onto `table`, going into tables that both have."""
    for key, value in over.items():
        if isinstance(value, Mapping) and isinstance(table.get(key), dict):
            _merge(table[key], value)
        else:
            table[key] = value


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def _join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name


def _wrong(name: str, found: object, expected: str) -> ConfigError:
    return ConfigError(f"{name or 'config'}: found {found!r}, expected {expected}")
