"""What an update minimises where a head predicts a distribution; labels, pairs and corpora are in test_state."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from sqa_model import Predictor
from sqa_model.checkpoint.ours import load
from sqa_model.network.model import Outputs
from sqa_model.training.begin import begin
from sqa_model.training.config import TrainConfig
from sqa_model.training.config_text import load_config
from sqa_model.training.fields import ConfigError
from sqa_model.training.fine_tune import with_heads
from sqa_model.training.loop import train
from sqa_model.training.objective import Objective
from sqa_model.training.plan import Crop
from sqa_model.training.source import MicroBatch
from tiny_training import TINY, lines, same, write_corpus, write_ratings

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("grades")
    for name, clips, seed in (("train", 40, 1), ("dev", 12, 2)):
        write_corpus(root / name, clips, seed)
    write_ratings(root / "train", 2, 3)
    return root


def configure(root: Path, *overrides: str, ratings: bool = True) -> TrainConfig:
    paths = [f"data.{kind}={json.dumps([str(root / kind / 'data.jsonl')])}" for kind in ("train", "dev")]
    if ratings:
        paths.append(f"data.ratings={json.dumps([str(root / 'train' / 'ratings.jsonl')])}")
    base = ["eval.every=none", "eval.metric=utterance_srcc", "run.threads=1", "model.dropout=0"]
    heads = ['model.heads=["mos","pesq"]', 'model.distributions.mos="ordinal"']
    return load_config("mini", overrides=[*TINY, *base, *paths, *heads, *overrides])


def two_hot(value: float) -> np.ndarray:
    value = min(max(value, 1.0), 5.0)
    lower = min(int(value), 4)
    weights = np.zeros(5)
    weights[lower - 1], weights[lower] = lower + 1 - value, value - lower
    return weights


@pytest.mark.parametrize("ratings", [True, False])
def test_the_loss_is_the_cross_entropy_of_corrected_votes(corpora: Path, ratings: bool) -> None:
    config = configure(corpora, "loss.votes=3", ratings=ratings)
    start = begin(config)
    objective = Objective(start.model.config, start.clips, config.loss, ratings=start.ratings)
    bias = {}
    if objective.listeners is not None:
        with torch.no_grad():
            objective.listeners.bias.normal_()
        # as the vote of each listener on one clip would be corrected
        bias = dict(
            enumerate(
                objective.listeners._without_mean(objective.listeners.bias, objective.listeners.share)[
                    :, 0
                ].tolist()
            )
        )
    batch = MicroBatch([Crop(i, 0.0) for i in range(12)], [])
    chances = torch.randn(12, 5).log_softmax(1)
    scores = torch.rand(12, 2) + 2
    totals = objective.count([batch])
    outputs = Outputs(scores, torch.zeros(12, 16), {"mos": chances})
    terms = objective.losses(outputs, batch, totals)
    costs = []
    for i in range(12):
        label = float(start.clips.labels[i, 0])
        if np.isnan(label):
            continue
        rows = np.flatnonzero((start.ratings.clip == i) & (start.ratings.head == 0))
        votes = [start.ratings.value[r] - bias[int(start.ratings.listener[r])] for r in rows] or [label]
        target = np.mean([two_hot(float(v)) for v in votes], axis=0)
        weight = 1.0 if objective.by_votes is None else float(objective.by_votes[i, 0])
        costs.append(-weight * (target * chances[i].numpy()).sum())
    assert terms[0].item() == pytest.approx(np.mean(costs), rel=1e-5)
    pesq = start.clips.labels[:12, 1]
    assert terms[1].item() == pytest.approx(np.nanmean((scores[:, 1].numpy() - pesq) ** 2), rel=1e-5)


def test_a_run_learns_a_distribution_and_goes_on_bit_for_bit(corpora: Path, tmp_path: Path) -> None:
    config = configure(corpora, "optim.ema=0.9", 'model.distributions.mos="categorical"')
    train(config, tmp_path / "whole")

    def stop_at(progress: object) -> None:
        if getattr(progress, "update", 0) == 4:
            raise SystemExit

    with pytest.raises(SystemExit):
        train(config, tmp_path / "killed", watch=stop_at)
    train(config, tmp_path / "killed")
    assert same(tmp_path / "whole", tmp_path / "killed")
    losses = [row["loss_mos"] for row in lines(tmp_path / "whole") if "loss_mos" in row]
    assert losses[-1] < losses[0]
    model = load(tmp_path / "whole" / "best")
    assert model.config.distributions == {"mos": "categorical"}
    assert Predictor(model).names == ("mos", "pesq")


def test_heads_that_are_dropped_take_their_distribution_with_them(corpora: Path) -> None:
    model = begin(configure(corpora)).model
    state = dict(model.state_dict())
    kept = with_heads(model, ["mos"])
    assert kept.config.distributions == {"mos": "ordinal"}
    assert torch.equal(kept.grades["mos"].thresholds, state["grades.mos.thresholds"])  # type: ignore[arg-type]
    assert with_heads(kept, ["pesq"]).config.distributions == {}


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["model.distributions.utmos=ordinal"],
            r"model\.distributions\.utmos: found 'ordinal', expected a head",
        ),
        (["model.distributions.mos=normal"], r"model\.distributions\.mos: found 'normal', expected one of"),
        (
            ['model.heads=["mos","mos_std","pesq"]', "loss.kind=nll"],
            r"model\.distributions\.mos: the head says by its distribution how sure it is, and 'mos_std'",
        ),
    ],
)
def test_distributions_that_cannot_be_are_refused(corpora: Path, overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        configure(corpora, *overrides)
