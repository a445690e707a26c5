"""The table of figures: a row of it, and nothing else, makes a figure known everywhere."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from sqa_metrics import FIGURES, Figure, by_corpus, ceiling, compare, intervals, mse, pair, rank, score
from sqa_metrics.cli import main
from sqa_metrics.numbers import as_scores


def bias(ref: object, pred: object) -> float:
    """Mean of pred - ref, as someone would add it by CONTRIBUTING: reference first, `as_scores` reads the arguments."""
    x, y = as_scores("ref", ref), as_scores("pred", pred)
    return float(sum(y) - sum(x)) / len(x) if len(x) else float("nan")


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> str:
    """The one step: a row of the table."""
    monkeypatch.setitem(FIGURES, "bias", Figure(bias, "lower", "Bias", lambda noise, variance: 0.0))
    return "bias"


def table(shift: float, seed: int = 0) -> io.BytesIO:
    rng = np.random.default_rng(seed)
    values = [3 + k % 7 / 3 + rng.normal(0, 0.1) + shift for k in range(40)]
    rows = [f"u{k},s{k // 5},{v},4,0.5" for k, v in enumerate(values)]
    return io.BytesIO("\n".join(["sample_id,system_id,mos,votes,mos_std", *rows]).encode())


def test_a_toy_figure_is_computed_everywhere(toy: str) -> None:
    preds = {"low": table(-0.5, 1), "high": table(0.5, 2)}
    paired = pair(table(0), preds)
    report = score(table(0), table(0.5, 2))
    assert report.utterance[toy] == pytest.approx(0.5, abs=0.1)
    assert report.system is not None
    assert report.system[toy] == pytest.approx(report.utterance[toy])
    assert "BIAS" in report.table()
    low, high = intervals(paired)
    assert low["utterance"][toy].high < 0 < high["system"][toy].low
    found = {(d.level, d.metric): d for d in compare(paired)}
    assert found["utterance", toy].difference == pytest.approx(-1, abs=0.1)
    assert found["system", toy].p < 0.05
    first, second = rank(paired)
    assert first.name == "low"
    assert (first.categories["Bias"], second.ranks["system_bias"]) == (1.0, 2)
    top = ceiling(paired)
    assert top is not None
    assert top["system"].as_dict()["bias_floor"] == 0
    figures = by_corpus([1.0, 2.0], [2.0, 3.0], ["a", "b"], ["x", "x"])["x"]  # type: ignore[arg-type]
    assert figures["system_bias"] == 1


def test_a_toy_figure_is_printed_everywhere(toy: str, root: Path) -> None:
    folder = root / "examples" / "scores"
    files = [str(folder / f"{name}.jsonl") for name in ("ref", "sharp", "blunt")]
    ref = ["--ref", files[0]]
    for arguments in (["score", *ref, "--pred", files[1], "--ci"], ["compare", *ref, *files[1:]]):
        assert "BIAS" in CliRunner().invoke(main, arguments).stdout
        value = json.loads(CliRunner().invoke(main, [*arguments, "--json"]).stdout)
        assert toy in str(value)
    assert "Bias" in CliRunner().invoke(main, ["rank", *ref, *files[1:]]).stdout


def test_the_four_are_the_challenge_s() -> None:
    assert list(FIGURES) == ["mse", "lcc", "srcc", "ktau"]
    assert [f.better for f in FIGURES.values()] == ["lower", "higher", "higher", "higher"]
    assert [f.category for f in FIGURES.values()] == ["Error", "Linear", "Rank", "Rank"]
    assert FIGURES["mse"].function is mse


def test_what_a_perfect_predictor_reaches_by_hand() -> None:
    """Noise .25 of each of three scores with a sample variance of 4: reliability 1 - .25 / 4."""
    perfect = {name: f.perfect(0.25, 4.0) for name, f in FIGURES.items() if f.perfect}
    assert perfect == {"mse": 0.25, "lcc": pytest.approx((1 - 0.25 / 4) ** 0.5, abs=1e-15)}
