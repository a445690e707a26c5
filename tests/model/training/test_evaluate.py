"""Evaluation inside training: the figures against pandas, and every clip scored once."""

import json
import math
from pathlib import Path

import numpy as np
import pandas
import pytest
import torch
from sqa_data.errors import AudioError
from sqa_metrics import score
from sqa_model.errors import ModelError
from sqa_model.training.clips import Clips
from sqa_model.training.config import BatchConfig, EvalConfig
from sqa_model.training.evaluate import agreement, check_choice, merit, predictions
from sqa_model.training.processes import Processes


def clips(count: int = 60, seed: int = 0) -> Clips:
    rng = np.random.default_rng(seed)
    labels = rng.uniform(1, 5, (count, 2)).astype(np.float32)
    labels[rng.uniform(size=(count, 2)) < 0.2] = math.nan
    corpus = rng.integers(0, 2, count)
    return Clips(
        paths=[f"/{i}.wav" for i in range(count)],
        sample_ids=[str(i) for i in range(count)],
        system_ids=[f"s{i % 7}" for i in range(count)],
        corpora=("bvcc", "nisqa"),
        corpus=corpus,
        seconds=rng.uniform(1, 10, count),
        labels=labels,
        votes=np.full_like(labels, math.nan),
    )


def test_figures_equal_pandas() -> None:
    table = clips()
    scores = np.random.default_rng(1).uniform(1, 5, (60, 2)).astype(np.float32)
    results = agreement(table, scores, ("mos", "pesq"))
    for number, corpus in enumerate(table.corpora):
        for column, head in enumerate(("mos", "pesq")):
            frame = pandas.DataFrame(
                {
                    "ref": table.labels[:, column].astype(float),
                    "pred": scores[:, column].astype(float),
                    "system": table.system_ids,
                }
            )[table.corpus == number].dropna()
            means = frame.groupby("system").mean()
            found = results[corpus][head]
            assert (found["clips"], found["systems"]) == (len(frame), len(means))
            for level, data in (("utterance", frame), ("system", means)):
                expected = {
                    "mse": ((data["ref"] - data["pred"]) ** 2).mean(),
                    "lcc": data["ref"].corr(data["pred"]),
                    "srcc": data["ref"].corr(data["pred"], method="spearman"),
                    "ktau": data["ref"].corr(data["pred"], method="kendall"),
                }
                for name, value in expected.items():
                    assert found[f"{level}_{name}"] == pytest.approx(value, abs=1e-6)


def test_figures_are_those_of_score(tmp_path: Path) -> None:
    """Six systems of one clip each have a system level in both (A2), and so has a system called like its clip."""
    corpus = np.array([0] * 6 + [1] * 6)
    labels = np.random.default_rng(0).uniform(1, 5, (12, 1)).astype(np.float32)
    scores = np.random.default_rng(1).uniform(1, 5, (12, 1)).astype(np.float32)
    systems = [*"ABCDEF", "clean", "A", "A", "B", "B", "B"]
    ids = ["u0", "u1", "u2", "u3", "u4", "u5", "clean", "u7", "u8", "u9", "u10", "u11"]
    table = Clips(
        [f"/{i}.wav" for i in ids], ids, list(systems), ("x", "y"), corpus, np.ones(12), labels, labels
    )
    for name, values in (("ref", labels), ("pred", scores)):
        rows = (
            {"sample_id": ids[i], "system_id": systems[i], "corpus": "xy"[corpus[i]], "metrics": {"mos": v}}
            for i, v in enumerate(values[:, 0].tolist())
        )
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    report = score(tmp_path / "ref.jsonl", tmp_path / "pred.jsonl")
    found = agreement(table, scores, ("mos",))
    assert [found[c]["mos"]["systems"] for c in "xy"] == [6, 3]
    for name, part in report.corpora.items():
        for level, figures in (("utterance", part.utterance), ("system", part.system)):
            assert figures is not None
            for figure, value in figures.items():
                assert found[name]["mos"][f"{level}_{figure}"] == pytest.approx(value, abs=1e-12)


def test_no_system_level_where_there_are_no_systems() -> None:
    for systems in ([None] * 60, [str(i) for i in range(60)], ["only"] * 60):
        table = clips()
        table.system_ids[:] = systems
        figures = agreement(table, np.full((60, 2), 3.0), ("mos", "pesq"))["bvcc"]["mos"]
        assert "systems" not in figures
        assert figures["utterance_srcc"] is None  # constant scores: undefined, not zero


def test_an_unreadable_clip_does_not_count() -> None:
    table = clips()
    scores = np.random.default_rng(1).uniform(1, 5, (60, 2)).astype(np.float32)
    before = agreement(table, scores, ("mos",))["bvcc"]["mos"]["clips"]
    scores[np.flatnonzero((table.corpus == 0) & np.isfinite(table.labels[:, 0]))[3]] = math.nan
    after = agreement(table, scores, ("mos",))["bvcc"]["mos"]
    assert after["clips"] == (before or 0) - 1
    assert after["utterance_mse"] is not None


def test_a_head_without_labels_has_no_figures() -> None:
    table = clips()
    table.labels[table.corpus == 0, 1] = math.nan
    assert "pesq" not in agreement(table, np.ones((60, 2)), ("mos", "pesq"))["bvcc"]


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_every_clip_is_scored_once_by_someone(processes: int) -> None:
    table = clips()
    asked: list[int] = []
    merged = np.full((60, 2), math.nan)
    for rank in range(processes):

        class Lone(Processes):
            """One of several processes, whose peers have nothing to say here."""

            def gather(self, thing: object) -> list:
                return [thing, ([], [], ["/of another.wav: gone"], False)]

        def score(chosen: list[int], items: list[float]) -> torch.Tensor:
            asked.extend(chosen)
            assert sum(table.seconds[chosen]) <= 40
            return torch.tensor([[item, -item] for item in items])

        scores, missing = predictions(
            score, float, table, 2, BatchConfig(40), Lone(rank, processes, torch.device("cpu")), workers=2
        )
        assert missing == ["/of another.wav: gone"]
        mine = np.isfinite(scores[:, 0])
        merged[mine] = scores[mine]
    assert sorted(asked) == list(range(60))
    assert merged[:, 0].tolist() == list(range(60))


def test_unreadable_clips_are_reported_and_strange_scores_stop() -> None:
    table = clips()
    alone = Processes(0, 1, torch.device("cpu"))

    def load(i: int) -> float:
        if i == 4:
            raise AudioError("/4.wav: gone")
        return float(i)

    scores, missing = predictions(
        lambda _, items: torch.tensor([[x, x] for x in items]),
        load,
        table,
        2,
        BatchConfig(40),
        alone,
        workers=2,
    )
    assert missing == ["/4.wav: gone"]
    assert np.isnan(scores).any(1).nonzero()[0].tolist() == [4]
    with pytest.raises(ModelError, match=r"wav: the model's score is not a number"):
        predictions(
            lambda _, items: torch.tensor([[1.0, math.nan]] * len(items)),
            float,
            table,
            2,
            BatchConfig(40),
            alone,
            workers=2,
        )


def test_a_long_development_batch_is_dealt_by_length_within_the_budget() -> None:
    table = clips()
    seen: list[list[int]] = []

    def note(chosen: list[int], items: list[float]) -> torch.Tensor:
        seen.append(chosen)
        return torch.ones(len(items), 2)

    alone = Processes(0, 1, torch.device("cpu"))
    predictions(note, float, table, 2, BatchConfig(seconds=40, micro_seconds=20), alone, workers=1)
    assert all(len(chosen) * table.seconds[chosen].max() <= 20 + 1e-6 for chosen in seen)
    flat = [i for chosen in seen for i in chosen]
    assert table.seconds[flat].tolist() == sorted(table.seconds, reverse=True)


def test_merit_is_the_mean_over_the_corpora_that_have_the_figure() -> None:
    def corpus(system: float | None, utterance: float, mse: float) -> dict:
        return {"mos": {"system_srcc": system, "utterance_srcc": utterance, "utterance_mse": mse}}

    three = {"a": corpus(0.9, 0.2, 1.0), "b": corpus(None, 0.4, 2.0), "c": corpus(0.5, 0.6, 6.0), "d": {}}
    assert merit(three, EvalConfig()) == pytest.approx((0.7, 0.4))
    assert merit(three, EvalConfig(metric="utterance_mse")) == pytest.approx((-3.0, 0.4))
    assert merit({"d": {}}, EvalConfig()) == (-math.inf, -math.inf)
    other = {"a": {"pesq": {"system_srcc": 0.3, "utterance_srcc": 0.1}, "mos": {"system_srcc": 0.9}}}
    assert merit(other, EvalConfig(head="pesq")) == pytest.approx((0.3, 0.1))


def test_merit_weighs_the_corpora_as_asked() -> None:
    def corpus(system: float | None, utterance: float) -> dict:
        return {"mos": {"system_srcc": system, "utterance_srcc": utterance}}

    three = {"a": corpus(0.9, 0.2), "b": corpus(None, 0.4), "c": corpus(0.5, 0.6)}
    assert merit(three, EvalConfig(weights={"a": 3.0})) == pytest.approx((0.8, (0.6 + 0.4 + 0.6) / 5))
    assert merit(three, EvalConfig(weights={"c": 0.0})) == pytest.approx((0.9, 0.3))
    assert merit(three, EvalConfig(weights={"a": 0.0, "c": 0.0})) == (-math.inf, 0.4)
    # more of everything is not more of one
    same = EvalConfig(weights={"a": 2.0, "b": 2.0, "c": 2.0})
    assert merit(three, same) == pytest.approx(merit(three, EvalConfig()))


def test_a_choice_that_cannot_be_made_is_told() -> None:
    table = clips()
    check_choice(table, ("mos", "pesq"), EvalConfig(weights={"bvcc": 0.0}))
    check_choice(table, ("mos", "pesq"), EvalConfig(head="cmos"))  # the pairs choose
    with pytest.raises(
        ModelError, match=r"eval\.weights\.somos: found 1, but data\.dev has no such corpus.*bvcc"
    ):
        check_choice(table, ("mos", "pesq"), EvalConfig(weights={"somos": 1.0}))
    with pytest.raises(
        ModelError, match=r"eval\.weights: no corpus of a weight above 0 has a clip labelled 'mos'"
    ):
        check_choice(table, ("mos", "pesq"), EvalConfig(weights={"bvcc": 0.0, "nisqa": 0.0}))
    table.labels[table.corpus == 1, 0] = math.nan
    with pytest.raises(ModelError, match="no corpus of a weight above 0"):
        check_choice(table, ("mos", "pesq"), EvalConfig(weights={"bvcc": 0.0}))


def test_merit_orders_checkpoints() -> None:
    def results(system: float | None, utterance: float, mse: float = 1.0) -> dict:
        return {"a": {"mos": {"system_srcc": system, "utterance_srcc": utterance, "utterance_mse": mse}}}

    by_system = EvalConfig()
    assert merit(results(0.9, 0.1), by_system) > merit(results(0.8, 0.9), by_system)
    assert merit(results(0.9, 0.2), by_system) > merit(results(0.9, 0.1), by_system)
    assert merit(results(None, 0.2), by_system) > merit(results(None, 0.1), by_system)
    by_error = EvalConfig(metric="utterance_mse")
    assert merit(results(0, 0, mse=0.2), by_error) > merit(results(1, 1, mse=0.3), by_error)
