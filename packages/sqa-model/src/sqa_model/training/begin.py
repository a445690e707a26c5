"""What a run starts from: its clips, those to measure on, its heads and its network, all decided by the config."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqa_model.network.comparison import ComparisonConfig
from sqa_model.network.model import MosModel
from sqa_model.training.build import build_model
from sqa_model.training.clips import Clips, Rows, clips_of, read_rows
from sqa_model.training.config import DataConfig, TrainConfig
from sqa_model.training.evaluate import check_choice
from sqa_model.training.fine_tune import data_record, network_record, parent_record, with_heads
from sqa_model.training.go_on import told_of_fork
from sqa_model.training.heads import choose_heads
from sqa_model.training.held_out import hold_out
from sqa_model.training.pairs import Pairs, read_pairs
from sqa_model.training.ratings import Ratings, read_ratings, with_votes


@dataclass(frozen=True)
class Start:
    """What a run starts from."""

    model: MosModel
    frozen_heads: tuple[str, ...]  # those that learn nothing
    clips: Clips
    dev: Clips
    pairs: Pairs
    dev_pairs: Pairs
    ratings: Ratings
    told: tuple[str, ...]  # what was decided, for the log
    record: Mapping[str, Any] | None  # for the run's config, see `config_text.to_json`
    provenance: Mapping[str, Any] | None  # for the models of a run with `model.init`


def begin(config: TrainConfig) -> Start:
    """Read the manifests, hold out clips if that is asked for, decide about the heads, and make the network.

    Weights that are random are drawn from torch's generator. Raises `ModelError` for anything wrong with the config or
    the data, `DataError` for a wrong line of a manifest.
    """
    data, asked = config.data, config.model.heads
    model = build_model(config)
    rows, dev_rows, told = _read(config)
    parent = None if config.model.init is None else model.config.names
    heads = choose_heads(config, parent, rows.labels())
    needed = [head for head in heads.names if head not in heads.frozen]
    rows = _labelled(rows, needed, data, told)
    # from here on clips keep their places, by which pairs name them
    rows, pairs, more = read_pairs(data.pairs, rows, dev_rows, "data.pairs")
    dev_rows, dev_pairs, _ = read_pairs(data.dev_pairs, dev_rows, Rows([], []), "data.dev_pairs")
    ratings, of_ratings = read_ratings(data.ratings, rows, heads.names, data)
    clips = clips_of(rows, heads.names, data, name="data.train", needed=needed)
    clips, of_labels = with_votes(clips, ratings)
    told += [*more, *of_ratings, *of_labels]
    config.check_heads(heads.names)
    # only the head that chooses needs labels there
    chooses = [config.eval.head] if config.eval.head in heads.names else []
    dev = clips_of(dev_rows, heads.names, data, name="data.dev", needed=chooses)
    check_choice(dev, heads.names, config.eval)

    told += heads.told
    record: dict[str, Any] = {}
    if parent is not None:
        record["fine_tuned_from"] = parent_record(config, model)
        told += [*told_of_fork(config), *_compared(parent, heads.names)]
    if parent is not None or heads.names != asked:
        comparison, why = _comparison(config, model)
        told += why
        model = with_heads(model, heads.names, config.model.dropout, comparison)
        if model.comparison and not data.pairs:
            model.comparison.requires_grad_(False)
        record = {"model": network_record(config, model)} | record
    provenance = None
    if parent is not None:
        provenance = {
            "fine_tuned_from": record["fine_tuned_from"],
            "data": data_record(config, clips, dev, pairs),
        }
    return Start(
        model, heads.frozen, clips, dev, pairs, dev_pairs, ratings, tuple(told), record or None, provenance
    )


def _comparison(config: TrainConfig, model: MosModel) -> tuple[ComparisonConfig | None, list[str]]:
    """The comparative head of the network that is trained, and what is told of it: as of any other head."""
    had = model.config.comparison
    if config.data.pairs:
        return had or ComparisonConfig(), []
    if had is None or config.data.missing_heads == "keep":
        return had, []
    return None, ["the comparative head is left out: there are no pairs to learn from"]


def _read(config: TrainConfig) -> tuple[Rows, Rows, list[str]]:
    """The rows to learn from, those to measure on, and what is told of how they were parted."""
    data = config.data
    rows = read_rows(data.train, "data.train")
    if data.dev or not data.hold_out:
        return rows, read_rows(data.dev, "data.dev"), []
    rows, held, told = hold_out(rows, data.hold_out, config.seed, config.eval.head)
    return rows, held, [f"held out for development, as data.dev names nothing: {'; '.join(told)}"]


def _labelled(rows: Rows, heads: Sequence[str], data: DataConfig, told: list[str]) -> Rows:
    """The rows to learn from, by `data.unlabelled`; how many have no label for any of `heads` is told."""
    found = rows.labelled(heads)
    drop = data.unlabelled == "drop"
    if left := len(rows) - len(found):
        what = "and are left out" if drop else "and teach nothing; data.unlabelled=drop leaves them out"
        told.append(
            f"data.train: {left:,} of {len(rows):,} clips have no label for {', '.join(heads)} {what}"
        )
    return found if drop else rows


def _compared(parent: tuple[str, ...], heads: tuple[str, ...]) -> list[str]:
    """Which heads go on and which are new."""
    old, new = ([name for name in heads if (name in parent) == had] for had in (True, False))
    kept = f"heads that go on: {', '.join(old)}" if old else "no head of the parent goes on"
    return [kept + (f"; new ones: {', '.join(new)}" if new else "")]
