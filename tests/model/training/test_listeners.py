"""What listeners add: by its formula, by least squares, off the labels, gone from the saved model."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sqa_model import Predictor
from sqa_model.checkpoint.ours import load
from sqa_model.training.config import LossConfig, TrainConfig
from sqa_model.training.config_text import load_config
from sqa_model.training.listeners import Listeners, Votes
from sqa_model.training.loop import train
from sqa_model.training.ratings import Ratings
from tiny_training import TINY, lines, same, write_corpus, write_ratings

torch.set_num_threads(1)
CPU = torch.device("cpu")
CLIPS, HEADS, PEOPLE, DIM = 30, 2, 5, 6


@pytest.fixture
def ratings() -> Ratings:
    """Four votes a clip and head, of five listeners of two corpora, and one of nobody."""
    rng = np.random.default_rng(0)
    rows = [
        (clip, head, who)
        for clip in range(CLIPS)
        for head in range(HEADS)
        for who in sorted(rng.choice([0, 1, 2] if clip < 20 else [3, 4, -1], 2, replace=False))
    ]
    clip, head, listener = np.array(rows).T
    value = rng.uniform(1, 5, len(rows)).astype(np.float32)
    names = (("x", "a"), ("x", "b"), ("x", "c"), ("y", "a"), ("y", "b"))
    return Ratings(clip, head, listener, value, names)


def made(ratings: Ratings, kind: str = "bias", prior: float = 3.0) -> Listeners:
    torch.manual_seed(0)
    listeners = Listeners(ratings, HEADS, DIM, LossConfig(listeners=kind, listener_prior=prior))  # type: ignore[arg-type]
    with torch.no_grad():
        for p in listeners.parameters():
            p.normal_()
    return listeners.double()


def without_mean(values: np.ndarray, ratings: Ratings, head: int | None) -> np.ndarray:
    """Values of listeners less their mean over the votes of each corpus (of one head, or of all)."""
    found = values.copy()
    for corpus in ("x", "y"):
        who = [i for i, (name, _) in enumerate(ratings.listeners) if name == corpus]
        votes = [
            k for k, h in zip(ratings.listener, ratings.head, strict=True) if k in who and head in (None, h)
        ]
        found[who] -= values[votes].mean(0)
    return found


@pytest.mark.parametrize("kind", ["bias", "embedding"])
def test_what_is_added_equals_its_formula(ratings: Ratings, kind: str) -> None:
    listeners = made(ratings, kind)
    chosen = [3, 25, 3, 11]
    pooled = torch.randn(len(chosen), DIM, dtype=torch.float64)
    votes = Votes(ratings, chosen, CPU)
    found = listeners(votes, pooled).detach().numpy()
    bias = np.stack(
        [without_mean(listeners.bias.detach().numpy()[:, h], ratings, h) for h in range(HEADS)], 1
    )
    expected = []
    for place, clip in enumerate(chosen):
        x = pooled[place].numpy()
        unit = (x - x.mean()) / np.sqrt(x.var() + 1e-5) / np.sqrt(DIM)
        for row in np.flatnonzero(ratings.clip == clip):
            who, head = ratings.listener[row], ratings.head[row]
            added = 0.0 if who < 0 else bias[who, head]
            if who >= 0 and listeners.embedding is not None and listeners.directions is not None:
                vectors = without_mean(listeners.embedding.detach().numpy(), ratings, None)
                added += vectors[who] @ listeners.directions[head].detach().numpy() @ unit
            expected.append(added)
    assert found == pytest.approx(expected, rel=1e-5, abs=1e-6)
    assert votes.place.tolist() == sorted(votes.place.tolist())


def test_the_mean_listener_adds_nothing(ratings: Ratings) -> None:
    listeners = made(ratings)
    votes = Votes(ratings, list(range(CLIPS)), CPU)
    added = listeners(votes, torch.zeros(CLIPS, DIM)).detach().numpy()
    for corpus in (range(20), range(20, CLIPS)):
        for head in range(HEADS):
            here = np.isin(votes.place, corpus) & (votes.head.numpy() == head) & (votes.listener.numpy() >= 0)
            assert added[here].mean() == pytest.approx(0, abs=1e-7)


def test_votes_fall_on_the_grades_beside_them_and_others_are_as_said(ratings: Ratings) -> None:
    rated = Ratings(
        *(np.array(c) for c in ([0, 0, 2, 2], [0, 0, 0, 1], [0, 1, 0, 0])), np.ones(4, np.float32)
    )
    votes = Votes(rated, [0, 1, 2], CPU)
    said = torch.full((3, 5), 0.2)
    found = votes.fallen(torch.tensor([2.0, 4.5, 6.0, 3.0]), 0, said, 1.0, 5.0)
    assert found.tolist() == [[0, 0.5, 0, 0.25, 0.25], said[1].tolist(), [0, 0, 0, 0, 1]]


def test_parts_add_up_and_biases_hear_votes_alone(ratings: Ratings) -> None:
    for kind in ("bias", "embedding"):
        listeners = made(ratings, kind)
        pred = torch.rand(CLIPS, HEADS, dtype=torch.float64, requires_grad=True)
        pooled = torch.randn(CLIPS, DIM, dtype=torch.float64, requires_grad=True)
        totals = torch.tensor(np.bincount(ratings.head), dtype=torch.float64)

        def part(chosen: list[int]) -> torch.Tensor:
            votes = Votes(ratings, chosen, CPU)
            added = listeners(votes, pooled[chosen])  # noqa: B023
            return listeners.losses(pred[chosen], votes, added, totals)  # noqa: B023

        whole = part(list(range(CLIPS)))
        assert torch.allclose(whole, part(list(range(7))) + part(list(range(7, CLIPS))))
        whole.sum().backward()
        # the network learns of biases by labels alone
        assert (pred.grad is None) == (kind == "bias")
        assert (pooled.grad is None) == (kind == "bias")


def test_biases_are_those_of_least_squares_with_a_prior(ratings: Ratings) -> None:
    """Of fixed predictions; each listener's mean rest is shrunk as by so many votes more."""
    prior = 4.0
    listeners = made(ratings, prior=prior)
    pred = torch.rand(CLIPS, HEADS, dtype=torch.float64) * 4 + 1
    votes = Votes(ratings, list(range(CLIPS)), CPU)
    totals = torch.ones(HEADS, dtype=torch.float64)
    rest = ratings.value - pred.numpy()[ratings.clip, ratings.head]
    for head in range(HEADS):
        for people in ([0, 1, 2], [3, 4]):
            rows = [np.flatnonzero((ratings.listener == who) & (ratings.head == head)) for who in people]
            n = np.array([len(r) for r in rows])
            # ridge regression with the mean over votes held at 0, by its normal equations
            system = np.block([[np.diag(n + prior), n[:, None]], [n[None], np.zeros((1, 1))]])
            solved = np.linalg.solve(system, [*(rest[r].sum() for r in rows), 0.0])[:-1]
            with torch.no_grad():
                listeners.bias[people, head] = torch.from_numpy(solved)
    loss = listeners.losses(pred, votes, listeners(votes, torch.zeros(CLIPS, DIM)), totals).sum()
    (gradient,) = torch.autograd.grad(loss, listeners.bias)
    # the loss is convex, so this is its least (votes are float32)
    assert gradient.abs().max() < 1e-4


# --- in a run ---


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("listeners")
    for name, clips, seed in (("train", 60, 1), ("dev", 12, 2)):
        write_corpus(root / name, clips, seed)
    write_ratings(root / "train", 2, 3)
    return root


def configure(root: Path, *overrides: str) -> TrainConfig:
    paths = [f"data.{kind}={json.dumps([str(root / kind / 'data.jsonl')])}" for kind in ("train", "dev")]
    paths.append(f"data.ratings={json.dumps([str(root / 'train' / 'ratings.jsonl')])}")
    base = ["eval.every=none", "eval.metric=utterance_srcc", "run.threads=1", "model.dropout=0"]
    return load_config("mini", overrides=[*TINY, *base, *paths, *overrides])


def biases(folder: Path) -> np.ndarray:
    return load_file(folder / "last" / "training.safetensors")["weight.listeners.bias"][:, 0].numpy()


def test_a_run_finds_who_is_strict_and_saves_a_plain_model(corpora: Path, tmp_path: Path) -> None:
    options = ["epochs=8", "loss.listener_prior=0", "loss.listener_lr=0.1", "loss.votes=2"]
    config = configure(corpora, *options)
    train(config, tmp_path / "run")
    found = biases(tmp_path / "run")
    rows, rated = (
        [json.loads(line) for line in (corpora / "train" / name).read_text().splitlines()]
        for name in ("data.jsonl", "ratings.jsonl")
    )
    corpus = {row["sample_id"]: row["corpus"] for row in rows}
    # numbered as they come; one of two corpora is two listeners
    people = list(dict.fromkeys((corpus[row["sample_id"]], row["listener_id"]) for row in rated))
    for name in "ab":
        strict, fair, kind = (found[people.index((name, f"L{k}"))] for k in range(3))
        assert strict < fair - 0.2 < kind - 0.4
    first, *_, last = (row for row in lines(tmp_path / "run") if "loss_listeners" in row)
    assert last["loss_listeners"] < first["loss_listeners"]
    model = load(tmp_path / "run" / "best")
    assert Predictor(model).names == ("mos",)
    assert not any("listener" in name for name in model.state_dict())
    assert "votes" not in model.config.to_json()


@pytest.mark.parametrize("kind", ["bias", "embedding"])
def test_a_killed_run_ends_with_the_same_bits(corpora: Path, tmp_path: Path, kind: str) -> None:
    options = ["optim.ema=0.9", f'loss.listeners="{kind}"', "loss.corpus_scale=true", "loss.votes=3"]
    config = configure(corpora, *options)
    train(config, tmp_path / "whole")

    def stop_at(progress: object) -> None:
        if getattr(progress, "update", 0) == 7:
            raise SystemExit

    with pytest.raises(SystemExit):
        train(config, tmp_path / "killed", watch=stop_at)
    train(config, tmp_path / "killed")
    assert same(tmp_path / "whole", tmp_path / "killed")


@pytest.mark.parametrize("kind", ["bias", "embedding"])
def test_accumulation_equals_the_big_batch(corpora: Path, tmp_path: Path, kind: str) -> None:
    for name, micro in (("one", "none"), ("many", "0.8")):
        options = [f'loss.listeners="{kind}"', "epochs=1", "loss.votes=3", f"batch.micro_seconds={micro}"]
        train(configure(corpora, *options), tmp_path / name)
    assert biases(tmp_path / "one") == pytest.approx(biases(tmp_path / "many"), abs=1e-4)
    one, many = ([row["loss"] for row in lines(tmp_path / n) if "loss" in row] for n in ("one", "many"))
    assert one == pytest.approx(many, rel=1e-4)


def test_labels_are_learned_without_what_their_listeners_add(corpora: Path) -> None:
    """The loss of the heads is that of labels corrected by hand."""
    from sqa_model.network.model import Outputs
    from sqa_model.training.begin import begin
    from sqa_model.training.objective import Objective
    from sqa_model.training.plan import Crop
    from sqa_model.training.source import MicroBatch

    config = configure(corpora)
    start = begin(config)
    objective = Objective(start.model.config, start.clips, config.loss, ratings=start.ratings)
    assert objective.listeners is not None
    with torch.no_grad():
        objective.listeners.bias.normal_()
    batch = MicroBatch([Crop(i, 0.0) for i in range(9)], [])
    pred = torch.rand(9, 1) + 2
    totals = objective.count([batch])
    terms = objective.losses(Outputs(pred, torch.zeros(9, 16), {}), batch, totals)
    assert objective.terms == ("mos", "listeners")
    votes = Votes(start.ratings, range(9), CPU)
    added = objective.listeners(votes, torch.zeros(9, 16)).detach().numpy()
    errors = []
    for i in range(9):
        label = float(start.clips.labels[i, 0])
        own = added[votes.place.numpy() == i]
        if not np.isnan(label):
            errors.append(float(pred[i, 0]) - (label - (own.mean() if len(own) else 0.0)))
    assert terms[0].item() == pytest.approx(np.square(errors).mean(), rel=1e-5)
    assert objective.counted(totals) == [len(errors), len(added)]
