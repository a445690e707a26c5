"""What an update minimises where a head predicts a distribution or listeners vote; labels and corpora: test_state."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from sqa_model import Predictor
from sqa_model.checkpoint.ours import load
from sqa_model.network.model import Outputs
from sqa_model.training import loss
from sqa_model.training.begin import begin
from sqa_model.training.config import OptimConfig, TrainConfig
from sqa_model.training.config_text import load_config
from sqa_model.training.fields import ConfigError
from sqa_model.training.fine_tune import with_heads
from sqa_model.training.listeners import Votes
from sqa_model.training.loop import train
from sqa_model.training.objective import Counts, Objective
from sqa_model.training.optimizer import Terms
from sqa_model.training.pairs import Pairs
from sqa_model.training.plan import Crop
from sqa_model.training.ratings import Ratings
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
    # as if votes were known to be more or fewer
    objective.by_votes = torch.rand(len(start.clips), 2) + 0.5
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
        costs.append(-float(objective.by_votes[i, 0]) * (target * chances[i].numpy()).sum())
    assert terms[0].item() == pytest.approx(np.mean(costs), rel=1e-5)
    errors = (scores[:, 1].numpy() - start.clips.labels[:12, 1]) ** 2
    counted = errors * objective.by_votes[:12, 1].numpy()
    assert terms[1].item() == pytest.approx(np.nanmean(counted), rel=1e-5)


def votes_on(heads: int) -> Ratings:
    """Two votes on each of twelve clips for each head, of three listeners of one corpus; pesq is always 1."""
    rows = [
        (clip, head, (clip + head + k) % 3, 1 + (2 * clip + k) % 5 * (head == 0))
        for clip in range(12)
        for head in range(heads)
        for k in range(2)
    ]
    clip, head, listener, value = np.array(rows).T
    return Ratings(clip, head, listener, value.astype(np.float32), (("a", "x"), ("a", "y"), ("a", "z")))


def test_what_listeners_add_is_learned_from_votes_alone(corpora: Path) -> None:
    """The head with a distribution and the plain one hear votes and labels without it, and hold it fixed."""
    options = ["loss.corpus_scale=true", "loss.weights.mos=3", "loss.rank=0.5"]
    config = configure(corpora, *options, ratings=False)
    start = begin(config)
    batch = MicroBatch([Crop(i, 0.0) for i in range(12)], [])
    outputs = Outputs(torch.rand(12, 2) + 2, torch.zeros(12, 16), {"mos": torch.randn(12, 5).log_softmax(1)})
    objective = Objective(start.model.config, start.clips, config.loss, ratings=votes_on(2))
    totals = objective.count([batch])
    votes = Votes(objective.ratings, batch.clips, torch.device("cpu"))
    listeners, scale = objective.listeners, objective.corpus_scale
    assert listeners is not None
    assert scale is not None

    of_mos = Objective(start.model.config, start.clips, config.loss, ratings=votes_on(1))
    assert objective.losses(outputs, batch, totals)[0].item() == pytest.approx(
        of_mos.losses(outputs, batch, of_mos.count([batch]))[0].item()
    )
    with torch.no_grad():
        listeners.bias.normal_()
        scale.offset.normal_()
    terms = objective.losses(outputs, batch, totals)
    of_heads, of_votes = (
        torch.autograd.grad(part, listeners.bias, retain_graph=True)[0]
        for part in (terms[:2].sum(), terms[2])
    )
    assert not of_heads.any()
    assert of_votes.abs().min() > 0
    # what is said of a clip by listeners of its corpus, the heads by their weights
    said = scale(outputs.scores, objective.corpus[batch.clips])
    missed = listeners.losses(said, votes, listeners(votes, outputs.pooled), totals.votes)
    assert terms[2].item() == pytest.approx((3 * missed[0] + missed[1]).item() / 4, rel=1e-5)


def test_a_head_with_a_distribution_is_ranked_like_others(corpora: Path) -> None:
    plain, ranked = (configure(corpora, f"loss.rank={weight}", ratings=False) for weight in (0, 0.5))
    start = begin(plain)
    batch = MicroBatch([Crop(i, 0.0) for i in range(12)], [])
    outputs = Outputs(torch.rand(12, 2) + 2, torch.zeros(12, 16), {"mos": torch.randn(12, 5).log_softmax(1)})
    found = []
    for config in (plain, ranked):
        objective = Objective(start.model.config, start.clips, config.loss)
        totals = objective.count([batch])
        found.append(objective.losses(outputs, batch, totals))
    labels, corpus = objective.labels[:12], objective.corpus[:12]
    added = loss.ranking(outputs.scores, labels, corpus, totals.ranked, ranked.loss.rank_margin)
    assert (found[1] - found[0]).tolist() == pytest.approx((0.5 * added).tolist(), rel=1e-4)
    assert added.min() > 0


def test_each_term_has_its_share_and_its_own_terms_of_learning(corpora: Path) -> None:
    options = ["loss.corpus_scale=true", "loss.listeners=embedding", "loss.listener_lr=0.25"]
    config = configure(corpora, *options, "loss.comparison=0.2", ratings=False)
    start = begin(config)
    pair = Pairs(np.array([0]), np.array([1]), np.array([1.0], dtype=np.float32), np.array([0]))
    objective = Objective(start.model.config, start.clips, config.loss, pair, votes_on(2))
    assert objective.terms == ("mos", "pesq", "cmos", "listeners")
    labels, votes, none = torch.tensor([5.0, 0.0]), torch.tensor([4.0, 2.0]), torch.zeros(2)
    totals = Counts(labels, none, torch.tensor([0.0, 1.0]), votes)
    assert objective.shares(totals).tolist() == pytest.approx([0.8, 0, 0.2, 0.8])
    assert objective.counted(totals) == [5, 0, 1, 6]
    assert objective.shares(Counts(none, none, torch.ones(2), votes)).tolist() == [0, 0, 1, 0]
    assert objective.shares(Counts(labels, none, none, votes)).tolist() == [1, 0, 0, 1]
    optim = OptimConfig(lr=1e-3, weight_decay=0.1)
    of_each, scale = Terms("listeners", 0.25, 0.0), Terms("corpus scale", 1e-3, 0.0)
    assert objective.learning(optim) == {
        "listeners.bias": of_each,
        "listeners.embedding": of_each,
        "listeners.directions": Terms("what listeners hear", 1e-3, 0.1),
        "corpus_scale.log_scale": scale,
        "corpus_scale.offset": scale,
    }


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
