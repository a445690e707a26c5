"""TrainConfig: every number of a run as typed dataclasses, checked when they are made.

What does not fit together is found here, before torch is loaded; `config_text` reads and writes them.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from sqa_data.labels import is_uncertainty
from sqa_metrics.figures import FIGURES

from sqa_model.errors import ModelError
from sqa_model.training.error_loss import LOSSES


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
class BatchConfig:
    """How clips are grouped.

    seconds: at most this many padded seconds (clips x longest) in one update, over all processes.
    clips: at most this many clips in one update.
    micro_seconds: at most this many padded seconds in one process's memory at once; none: the whole of its
        share. Lower it when memory runs out: it changes speed, not the result (but for the pairs of
        `loss.rank`).
    """

    seconds: float = 600.0
    clips: int = 128
    micro_seconds: float | None = None

    def __post_init__(self) -> None:
        require(self.seconds > 0, "batch.seconds", self.seconds, "a number above 0")
        require(self.clips >= 1, "batch.clips", self.clips, "1 or more")
        micro = self.micro_seconds
        require(micro is None or micro > 0, "batch.micro_seconds", micro, "a number above 0, or none")


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
class LossConfig:
    """What is minimised.

    kind: per-head regression loss, a name in `error_loss.LOSSES`. "mse" is the reference's; "nll" also trains the
        head's predicted deviation, the head called `<name>_std`, where there is one (and is "mse" on the others).
    huber_delta: where "huber" turns from squared to linear, in label units.
    weights: weight per head (default 1); the loss is the weighted mean over the heads labelled in the update.
    rank: weight of the pairwise ranking term added to each head's loss; 0 leaves it out.
    rank_margin: pairs whose labels differ by no more than this are not ranked, in label units.
    corpus_scale: learn an offset and a scale per corpus between prediction and label, used in training only.
    """

    kind: str = "mse"
    huber_delta: float = 0.5
    weights: dict[str, float] = field(default_factory=dict)
    rank: float = 0.0
    rank_margin: float = 0.1
    corpus_scale: bool = False

    def __post_init__(self) -> None:
        require(self.kind in LOSSES, "loss.kind", self.kind, f"one of {', '.join(LOSSES)}")
        require(self.huber_delta > 0, "loss.huber_delta", self.huber_delta, "a number above 0")
        require(self.rank >= 0, "loss.rank", self.rank, "0 (off) or more")
        require(self.rank_margin >= 0, "loss.rank_margin", self.rank_margin, "0 or more")
        for name, weight in self.weights.items():
            require(weight >= 0, f"loss.weights.{name}", weight, "0 or more")


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
        known = [f"{level}_{name}" for level in ("system", "utterance") for name in FIGURES]
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
        known = re.fullmatch(r"auto|cpu|cuda(:\d+)?", self.device)
        require(known is not None, "run.device", self.device, "auto, cpu, cuda or cuda:<number>")
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
        require(0 <= self.seed < 2**63, "seed", self.seed, "0 or more, below 2^63")
        require(
            self.data.max_seconds <= (self.batch.micro_seconds or self.batch.seconds),
            "data.max_seconds",
            self.data.max_seconds,
            "no more than batch.seconds and batch.micro_seconds, so that every clip fits a batch",
        )
        if self.data.cache is not None and self.optim.unfreeze != 0:
            raise ConfigError(
                f"data.cache: needs a frozen backbone, found optim.unfreeze = {self.optim.unfreeze}; "
                "set it to 0, or data.cache to none"
            )
        if self.model.init is None:
            if self.optim.unfreeze == 0 and self.model.backbone == "logmel":
                raise ConfigError(
                    "optim.unfreeze: found 0, but logmel has no pretrained weights; expected -1 (all of it)"
                )
            self.check_heads(self.model.heads)

    def check_heads(self, heads: Sequence[str]) -> None:
        """Refuse what does not fit a model with these heads (those of `model.init` are only known once it is read)."""
        known = f"a head of the model: {', '.join(heads)}"
        require(self.eval.head in heads, "eval.head", self.eval.head, known)
        for name in self.loss.weights:
            require(name in heads, f"loss.weights.{name}", self.loss.weights[name], known)
        uncertain = [name for name in heads if is_uncertainty(name)]
        if uncertain and self.loss.kind != "nll":
            raise ConfigError(
                f'model.heads: {uncertain[0]!r} is only learned with loss.kind = "nll"; set it, or leave it out'
            )
