"""TrainConfig: every number of a run as typed dataclasses, checked when they are made.

What does not fit together is found here, before torch is loaded; `config_text` reads and writes them.
"""

import re
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import Literal

from sqa_data.labels import is_uncertainty, uncertainty_of
from sqa_metrics.figures import FIGURES

from sqa_model.checkpoint.locate import edition_name
from sqa_model.training.error_loss import LOSSES
from sqa_model.training.fields import WEIGHTS, ConfigError, Section, above_0, at_least, limited, require

METRICS = [*(f"{level}_{name}" for level in ("system", "utterance") for name in FIGURES), "accuracy"]
WITH_INIT = ("heads", "dropout", "init")  # the fields of `model` that may stand beside init


@dataclass(frozen=True)
class DataConfig(Section):
    """What is learned from and what it is measured on.

    train, dev: manifest paths or globs.
    weights: how often each corpus is used in an epoch, 1 if not named; 0 leaves it out.
    balance: give every corpus the same number of clips in an epoch (before `weights`).
    max_seconds: longer clips are cut to a window of this length, at a place drawn anew each epoch (drawn once with
        a feature cache); development clips are never cut.
    out_of_range: a label that its metric cannot give stops the run ("error"), is ignored ("mask") or is moved to the
        nearest bound of its head ("clip"); one that the metric can give and the head cannot (PESQ of 4.64) always is.
    leaks: clips of `dev` that are among those of `train`, or of a corpus that holds them, stop the run ("error") or
        are told ("allow"). Copies are found byte by byte; `sqa-cli data verify` also hears those encoded anew.
    missing_heads: a head whose label no training clip has stops the run ("error"), is left out of the model ("drop")
        or stays as it is ("keep", as in the published baseline): it learns nothing, and what it says drifts with the
        layers below it. none: "drop" for a head that only comes with `model.init`, "error" for one that was asked for.
    unlabelled: training clips without a label for any head that learns stay among the others ("keep"), where an update
        of such clips alone changes nothing but counts, or are left out ("drop").
    hold_out: where `dev` names no manifest, about this share of every corpus's training clips is held out instead:
        whole talkers, or references, systems or clips, see `held_out`; 0: `dev` is needed.
    pairs, dev_pairs: files of compared pairs (paths or globs), to learn from and to measure on: the model gets the
        comparative head of UrgentMOS. Their clips are found by sample_id in `train` (`dev`), else in data.jsonl
        beside the file. In an epoch pairs come beside the clips; weights of 0 leave pairs alone.
    pair_share: how often each pair is used in an epoch.
    ratings: files of single ratings (paths or globs), such as `sqa-cli data prepare` writes beside a manifest: votes on
        clips of `train`, of which `loss.listeners` learns what each listener adds. Their mean is then the label.
    max_unreadable: audio files that may fail; each is skipped and counted, one more stops the run.
    cache: folder where a frozen backbone's states are kept (in half precision) from the first epoch on, so that
        later epochs skip the backbone; none: computed anew each time.
    """

    section = "data."
    train: tuple[str, ...] = ()
    dev: tuple[str, ...] = ()
    weights: dict[str, float] = field(default_factory=dict, metadata=WEIGHTS)
    balance: bool = False
    max_seconds: float = above_0(30.0)
    out_of_range: Literal["error", "mask", "clip"] = "error"
    leaks: Literal["error", "allow"] = "error"
    missing_heads: Literal["error", "drop", "keep"] | None = None
    unlabelled: Literal["keep", "drop"] = "keep"
    hold_out: float = limited(0.0, "a number in [0, 1)", lambda share: 0 <= share < 1)
    pairs: tuple[str, ...] = ()
    dev_pairs: tuple[str, ...] = ()
    pair_share: float = above_0(1.0)
    ratings: tuple[str, ...] = ()
    max_unreadable: int = at_least(0, 10)
    cache: str | None = None


@dataclass(frozen=True)
class BatchConfig(Section):
    """How clips are grouped.

    seconds: at most this many padded seconds (clips x longest) in one update, over all processes.
    clips: at most this many clips, or pairs, in one update.
    micro_seconds: at most this many padded seconds in one process's memory at once; none: the whole of its
        share. Lower it when memory runs out: it changes speed, not the result (but for the pairs of
        `loss.rank`).
    """

    section = "batch."
    seconds: float = above_0(600.0)
    clips: int = at_least(1, 128)
    micro_seconds: float | None = above_0(None)


@dataclass(frozen=True)
class OptimConfig(Section):
    """AdamW and its schedule, counted in updates (so neither processes nor accumulation change it).

    lr: peak learning rate.
    backbone_lr: that of the backbone's last layer; none: the same.
    layer_decay: each layer of the backbone learns at this share of the rate of the one above it, and what is below the
        layers at this share of the first one's (Howard & Ruder 2018 divide by 2.6).
    unfreeze: how many of the backbone's last layers learn; 0: none (frozen, evaluation mode), -1: all of it.
    freeze_updates, freeze_epochs: the backbone stays frozen for so many updates, and for so many epochs; then what
        `unfreeze` says begins to learn, with fresh moments, at the rate that the schedule has reached.
    layers_per_epoch: the layers begin so many an epoch, the last ones first and what is below them at the end
        (gradual unfreezing, Howard & Ruder 2018); 0: all at once.
    lora_rank: of what `unfreeze` says learn only factors of this rank beside the linear layers (LoRA, Hu et al. 2021),
        at backbone_lr; saved models have them merged. 0: the weights themselves.
    lora_alpha: the factors count lora_alpha / lora_rank times.
    lora_targets: names of linear layers inside a layer of the backbone, or patterns: "*" is all, "q_proj" the queries.
    schedule: after `warmup` updates of linear rise, "linear" and "cosine" fall to 0 at the end of the run. "reference"
        is the published baseline's: linear, one update later, so that the first has a rate of 0. (On n GPUs its warm-up
        ends n times as early; ours does not depend on the processes.)
    clip: largest gradient norm; none: not clipped.
    ema: decay of the averaged weights that are evaluated and saved; none: not averaged.
    moments: with `model.init` the last/ of a run, AdamW's moments of the weights that go on are those of that run
        (`sqa-cli train --fork`), not 0.
    """

    section = "optim."
    lr: float = above_0(3e-5)
    backbone_lr: float | None = above_0(None)
    layer_decay: float = limited(1.0, "a number in (0, 1]", lambda decay: 0 < decay <= 1)
    unfreeze: int = limited(0, "-1 (all), 0 (none) or a number of layers", lambda layers: layers >= -1)
    freeze_updates: int = at_least(0, 0, " updates")
    freeze_epochs: int = at_least(0, 0, " epochs")
    layers_per_epoch: int = at_least(0, 0, " layers")
    lora_rank: int = at_least(0, 0)
    lora_alpha: float = above_0(16.0)
    lora_targets: tuple[str, ...] = limited(("*",), "at least one pattern", len)
    weight_decay: float = at_least(0, 0.01)
    betas: tuple[float, float] = limited(
        (0.9, 0.999), "two numbers in [0, 1)", lambda betas: all(0 <= b < 1 for b in betas)
    )
    schedule: Literal["linear", "cosine", "constant", "reference"] = "linear"
    warmup: int = at_least(0, 2500, " updates")
    clip: float | None = above_0(1.0)
    ema: float | None = limited(None, "a number in (0, 1)", lambda decay: 0 < decay < 1)
    moments: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("layer_decay", "freeze_updates", "freeze_epochs", "layers_per_epoch", "lora_rank"):
            if self.unfreeze == 0 and getattr(self, name) != getattr(OptimConfig, name):
                raise ConfigError(
                    f"optim.{name}: found {getattr(self, name)}, but the backbone never learns (optim.unfreeze is 0); "
                    f"set optim.unfreeze to -1 or a number of layers, or leave optim.{name} out"
                )


@dataclass(frozen=True)
class LossConfig(Section):
    """What is minimised.

    kind: per-head regression loss, a name in `error_loss.LOSSES`. "mse" is the reference's; "nll" also trains the
        head's predicted deviation, the head called `<name>_std`, where there is one (and is "mse" on the others).
    huber_delta: where "huber" turns from squared to linear, in label units.
    weights: weight per head (default 1); the loss is the weighted mean over the heads labelled in the update.
    rank: weight of the pairwise ranking term added to each head's loss; 0 leaves it out.
    rank_margin: pairs whose labels differ by no more than this are not ranked, in label units.
    corpus_scale: learn an offset and a scale per corpus between prediction and label, used in training only.
    votes: a label that n votes made counts in proportion to n / (n + votes), scaled to a mean of 1 in its corpus; one
        whose votes are not known counts 1. This is its precision where `votes` is the variance of one vote over that
        which no model explains, see `loss.vote_weights`. 0: every label counts 1.
    listeners: what is learned of each listener of `data.ratings`, see `listeners`: a "bias", or an "embedding" besides.
    listener_lr: peak learning rate of biases and embeddings.
    listener_prior: a bias is held to 0 as if by so many votes.
    comparison: how much of the loss compared pairs are, in updates that have labels and pairs.
    """

    section = "loss."
    kind: str = limited("mse", f"one of {', '.join(LOSSES)}", lambda kind: kind in LOSSES)
    huber_delta: float = above_0(0.5)
    weights: dict[str, float] = field(default_factory=dict, metadata=WEIGHTS)
    rank: float = at_least(0, 0.0)
    rank_margin: float = at_least(0, 0.1)
    corpus_scale: bool = False
    votes: float = at_least(0, 0.0)
    listeners: Literal["bias", "embedding"] = "bias"
    listener_lr: float = above_0(0.01)
    listener_prior: float = at_least(0, 3.0)
    comparison: float = limited(0.5, "a number in [0, 1]", lambda share: 0 <= share <= 1)


@dataclass(frozen=True)
class EvalConfig(Section):
    """When the development set is measured and which checkpoint is the best one.

    every: updates between evaluations (and saves); none: once an epoch. The last update is always evaluated.
    head: the head that chooses; "cmos" for the pairs of `data.dev_pairs`, of which each counts as an utterance.
    metric: "system_srcc", "utterance_lcc", ..., "accuracy" (of cmos alone): its mean over the corpora. Ties, and
        development sets without systems, are decided by utterance SRCC.
    weights: how much each corpus of the development set counts in these means, 1 if not named; one of weight 0 is
        measured, but chooses nothing.
    patience: stop after this many evaluations without a better one; none: never.
    """

    section = "eval."
    every: int | None = at_least(1, 1000, " updates")
    head: str = "mos"
    metric: str = limited("system_srcc", f"one of {', '.join(METRICS)}", lambda name: name in METRICS)
    weights: dict[str, float] = field(default_factory=dict, metadata=WEIGHTS)
    patience: int | None = at_least(1, None)


@dataclass(frozen=True)
class RunConfig(Section):
    """How the machine is used. This changes no result (but for rounding), so a run may be resumed otherwise.

    device: "auto" takes CUDA where there is one.
    threads: of each process's CPU kernels; none: torch's own choice. Use 1 where others use the cores too.
    workers: threads that read audio. ahead: updates that they read in advance.
    checkpointing: compute activations again for the backward pass: saves memory, costs time.
    save_minutes: time between checkpoints where there are no evaluations.
    keep: how many of the checkpoints that were measured stay in kept/, the latest ones, to be averaged
        (`sqa-cli average`); 0: none beside best/ and last/.
    tensorboard: write TensorBoard events beside metrics.jsonl.
    """

    section = "run."
    device: str = limited(
        "auto", "auto, cpu, cuda or cuda:<number>", lambda name: re.fullmatch(r"auto|cpu|cuda(:\d+)?", name)
    )
    threads: int | None = at_least(1, None)
    workers: int = at_least(1, 2)
    ahead: int = at_least(1, 2)
    checkpointing: bool = False
    save_minutes: float = at_least(0, 10.0, " (0: after every update)")
    keep: int = at_least(0, 0)
    tensorboard: bool = True


@dataclass(frozen=True)
class NetConfig(Section):
    """The network to train, see `ModelConfig`.

    heads: the labels to predict, in order; their ranges are `sqa_data.labels.RANGES`. none: mos, or with `init` the
        heads there. A head `mos_std` beside `mos` predicts the standard deviation of the error of `mos` and needs
        `loss.kind = "nll"`.
    distributions: heads that predict how likely each of five grades is, `{mos = "ordinal"}` or "categorical" (see
        `network.grades`): their score is the mean, and they are learned by cross-entropy whatever `loss.kind` is, from
        the single votes where `data.ratings` has them.
    backbone: a name in `sqa_model.network.backbones.BACKBONES`, or `hf:` and the folder or Hub id of an encoder that
        the library transformers publishes, with its weights ("hf:facebook/wav2vec2-xls-r-300m"). A list of these is
        a group: each with its own mix of layers, their frames aligned in time and side by side.
    pretrained: folder or Hub id of published weights for the backbone; none: those of `hf:`, or random ones.
    sizes: fields of the backbone's own configuration that differ from its defaults.
    pooling: how frames become a clip: their mean, or a mean with learned weights.
    normalize: scale every waveform to mean 0 and variance 1, so that its level does not matter.
    trim: leave out what is silent at either end of a clip.
    dropout: none: 0.1, or with `init` what it is there.
    init: a checkpoint to start from, as for `predict`. The network is then that one, so of the fields here only heads
        and dropout may be set beside it. Heads that it has keep their weights, others start anew; one that predicts a
        standard deviation stays only where it learns, with `loss.kind = "nll"`. "default" becomes "default-2", the
        edition that it now is.
    """

    section = "model."
    heads: tuple[str, ...] | None = limited(None, "at least one label", len)
    distributions: dict[str, Literal["ordinal", "categorical"]] = field(default_factory=dict)
    backbone: tuple[str, ...] = limited(("wavlm-base-plus",), "at least one encoder", len)
    pretrained: str | None = None
    sizes: dict[str, int] = field(default_factory=dict)
    dim: int = at_least(1, 768)
    layers: int = at_least(0, 6)
    attention_heads: int = at_least(1, 8)
    feedforward: int = at_least(1, 2048)
    dropout: float | None = limited(None, "a number in [0, 1)", lambda share: 0 <= share < 1)
    pooling: Literal["mean", "attention"] = "mean"
    normalize: bool = False
    trim: bool = False
    init: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.backbone) > 1:
            for name, found in (("pretrained", self.pretrained), ("sizes", self.sizes)):
                require(
                    not found, f"model.{name}", found, "none for several encoders; hf: brings each its own"
                )
        if self.init is None:
            object.__setattr__(self, "heads", ("mos",) if self.heads is None else self.heads)
            object.__setattr__(self, "dropout", 0.1 if self.dropout is None else self.dropout)
            return
        object.__setattr__(self, "init", edition_name(self.init))
        for each in fields(self):
            default = each.default if each.default_factory is MISSING else each.default_factory()
            if getattr(self, each.name) != default:
                refuse_beside_init(each.name, self.init)


def refuse_beside_init(name: str, init: object) -> None:
    """Raise `ConfigError` for a field of `model` that `init` decides."""
    if name not in WITH_INIT:
        raise ConfigError(
            f"model.{name}: the network is that of model.init = {init}, of which only {' and '.join(WITH_INIT[:2])} "
            "can be changed; leave it out"
        )


@dataclass(frozen=True)
class TrainConfig(Section):
    """A training run, in the sections of its TOML file.

    precision: of the matrix products; the weights are always fp32.
    """

    seed: int = limited(42, "0 or more, below 2^63", lambda seed: 0 <= seed < 2**63)
    epochs: int = at_least(1, 5)
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    model: NetConfig = field(default_factory=NetConfig)
    data: DataConfig = field(default_factory=DataConfig)
    batch: BatchConfig = field(default_factory=BatchConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    eval: EvalConfig = field(default_factory=EvalConfig)
    run: RunConfig = field(default_factory=RunConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            self.data.max_seconds <= (self.batch.micro_seconds or self.batch.seconds),
            "data.max_seconds",
            self.data.max_seconds,
            "no more than batch.seconds and batch.micro_seconds, so that every clip fits a batch",
        )
        if self.optim.moments and self.model.init is None:
            raise ConfigError(
                "optim.moments: found true, but no model.init whose moments these would be; name a run's last/"
            )
        if self.eval.metric == "accuracy" and self.eval.head != "cmos":
            raise ConfigError(
                f"eval.metric: found 'accuracy', which is of pairs alone, but eval.head = {self.eval.head}; "
                "set eval.head to cmos, or choose by utterance_srcc or another figure"
            )
        if self.data.dev_pairs and not self.data.pairs:
            raise ConfigError(
                "data.dev_pairs: found pairs to measure on, but data.pairs names none to learn from; give both"
            )
        if self.data.cache is not None and self.optim.unfreeze != 0:
            raise ConfigError(
                "data.cache: needs a backbone that is frozen for the whole run, found optim.unfreeze = "
                f"{self.optim.unfreeze}; set it to 0, or data.cache to none (or train one run with it, and a second "
                "without from the first one's model.init = RUN/best)"
            )
        require(
            self.optim.freeze_epochs < self.epochs,
            "optim.freeze_epochs",
            self.optim.freeze_epochs,
            f"fewer than the epochs of the run ({self.epochs}), so that the backbone begins to learn",
        )
        if self.model.init is None and "logmel" in self.model.backbone:
            optim, why = self.optim, "since logmel has no pretrained weights"
            require(optim.unfreeze != 0, "optim.unfreeze", 0, f"-1 (all of it), {why}")
            require(optim.lora_rank == 0, "optim.lora_rank", optim.lora_rank, f"0, {why}")
        if self.model.heads is not None:
            self.check_heads(self.model.heads)

    def check_heads(self, heads: Sequence[str]) -> None:
        """Refuse what does not fit a model with these heads (those of `model.init` are only known once it is read)."""
        known = f"a head of the model: {', '.join(heads)}"
        compared = self.eval.head == "cmos" and self.data.dev_pairs
        require(self.eval.head in heads or bool(compared), "eval.head", self.eval.head, known)
        for name in self.loss.weights:
            require(name in heads, f"loss.weights.{name}", self.loss.weights[name], known)
        for name, kind in self.model.distributions.items():
            require(name in heads, f"model.distributions.{name}", kind, known)
            if uncertainty_of(name) in heads:
                raise ConfigError(
                    f"model.distributions.{name}: the head says by its distribution how sure it is, and "
                    f"{uncertainty_of(name)!r} would learn nothing; leave one of the two out"
                )
        uncertain = [name for name in heads if is_uncertainty(name)]
        if uncertain and self.loss.kind != "nll":
            raise ConfigError(
                f'model.heads: {uncertain[0]!r} is only learned with loss.kind = "nll"; set it, or leave it out'
            )
