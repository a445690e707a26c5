"""`calibrate`, and `predict --calibration`: from ratings to scores of new clips on the listeners' scale."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from commands import rows, run, small_model
from sqa_metrics import read_calibration, write_calibration
from sqa_metrics.calibration.record import Calibration, Line


@pytest.fixture
def ratings(tmp_path: Path) -> tuple[Path, Path]:
    """Ratings of 60 clips of 20 systems, and results of a model that is half a point too low."""
    ref, pred = tmp_path / "mine.csv", tmp_path / "results.jsonl"
    scores = [(f"s{k % 20}_u{k // 20}", f"s{k % 20}", 1.5 + k % 20 / 8 + k // 20 / 10) for k in range(60)]
    ref.write_text("\n".join(["sample_id,system_id,mos", *(f"{u},{s},{v}" for u, s, v in scores)]))
    found = [
        {"sample_id": u, "metrics": {"mos": v - 0.5 + 0.1 * (-1) ** k}} for k, (u, _, v) in enumerate(scores)
    ]
    pred.write_text("".join(json.dumps(row | {"model": "1f0c9a3e/float32"}) + "\n" for row in found))
    return ref, pred


@pytest.fixture
def made(tmp_path: Path) -> Path:
    line = Line(0.25, 1.0)
    path = tmp_path / "cal.json"
    calibration = Calibration(
        "mos", None, line, [line], [line], 0.5, 0.95, "clips", (1.0, 5.0), 30, 0, 0.2, 0.3
    )
    write_calibration(calibration, path)
    return path


def test_calibrate_writes_and_tells(ratings: tuple[Path, Path], tmp_path: Path) -> None:
    ref, pred = ratings
    out = tmp_path / "cal.json"
    text = run("calibrate", "--ref", ref, "--pred", pred, "--out", out)
    assert "60 clips of 20 systems, model 1f0c9a3e/float32" in text
    assert "at least 95% of clips of new systems" in text
    found = read_calibration(out)
    assert (found.model, found.over) == ("1f0c9a3e/float32", "systems")
    assert found.apply(3.0)[0] == pytest.approx(3.5, abs=0.1)
    told = json.loads(
        run("calibrate", "--ref", ref, "--pred", pred, "--out", out, "--coverage", 0.9, "--json")
    )
    assert told["interval"]["coverage"] == 0.9
    assert told["interval"]["half_width"] <= found.half_width


def test_calibrate_refuses(ratings: tuple[Path, Path], tmp_path: Path) -> None:
    ref, pred = ratings
    out = tmp_path / "cal.json"
    first = pred.read_text().split("\n")
    pred.write_text("\n".join([first[0].replace("1f0c", "ffff"), *first[1:]]))
    assert "rows of 2 models" in run("calibrate", "--ref", ref, "--pred", pred, "--out", out, code=1)
    pred.write_text("\n".join(first[:20]))
    assert "does not cover" in run("calibrate", "--ref", ref, "--pred", pred, "--out", out, code=1)
    assert "standard input" in run("calibrate", "--ref", "-", "--pred", "-", "--out", out, code=2)
    assert not out.exists()


def test_predict_adds_the_calibrated_scores(model: str, wavs: Path, made: Path, tmp_path: Path) -> None:
    out = tmp_path / "out" / "results.jsonl"
    text = run("predict", wavs, "--model", model, "--calibration", made, "--out", out)
    assert "made for a model that it does not name" in text
    calibration = read_calibration(made)
    for row in rows(out):
        score = row["metrics"]["mos"]
        assert [row["metrics"][name] for name in ("mos_cal", "mos_low", "mos_high")] == list(
            calibration.apply(score)
        )
        assert row["calibration"] == calibration.name
    text = run("predict", next(iter(wavs.iterdir())), "--model", model, "--calibration", made)
    head = next(line for line in text.splitlines() if "mos_cal" in line)
    # what was asked for stands first, so that no terminal is too narrow for it
    assert head.split()[:4] == ["mos_cal", "mos_low", "mos_high", "mos"]


def test_resume_mixes_no_calibrations(model: str, wavs: Path, made: Path, tmp_path: Path) -> None:
    out = tmp_path / "out" / "results.jsonl"
    run("predict", wavs, "--model", model, "--out", out)
    again = ("predict", wavs, "--model", model, "--out", out, "--resume")
    assert "another calibration, or of none" in run(*again, "--calibration", made, code=1)
    run(*again)


def test_a_calibration_of_other_models_together_is_refused(
    model: str, wavs: Path, made: Path, tmp_path: Path
) -> None:
    clip = next(iter(wavs.iterdir()))
    second = small_model(tmp_path / "second", seed=9)
    both = ("predict", clip, "--model", model, "--model", second)
    run(*both, "--out", "both.jsonl")
    (row,) = rows("both.jsonl")
    text = made.read_text()
    made.write_text(text.replace('"model": null', f'"model": "{row["model"]}"'))
    assert "warning: the calibration" not in run(*both, "--calibration", made)
    turned = ("predict", clip, "--model", second, "--model", model, "--calibration", made)
    for other in (turned, ("predict", clip, "--model", model, "--calibration", made)):
        text = run(*other, code=1)
        assert f"the calibration was made for model {row['model'].partition('/')[0]}, this is " in text
        assert "calibrate these models together" in text


def test_a_calibration_of_another_score_is_refused(model: str, wavs: Path, made: Path) -> None:
    made.write_text(made.read_text().replace('"mos"', '"scoreq"'))
    text = run("predict", wavs, "--model", model, "--calibration", made, code=1)
    assert "the calibration is of 'scoreq', and the model gives mos, mos_std" in text
    made.write_text("{}")
    assert "no calibration" in run("predict", wavs, "--model", model, "--calibration", made, code=1)


@pytest.mark.slow
def test_predict_with_a_calibration_loads_no_numba(model: str, wavs: Path, made: Path) -> None:
    code = (
        "import sys\nfrom sqa_cli.main import main\n"
        "try: main(sys.argv[1:])\nfinally: print('numba' in sys.modules, file=sys.stderr)"
    )
    clip = next(iter(wavs.iterdir()))
    arguments = ["predict", str(clip), "--model", model, "--calibration", str(made)]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    assert done.stderr.splitlines()[-1] == "False"
