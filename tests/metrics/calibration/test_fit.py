"""Calibration: maps against NumPy's least squares, quantiles against their definition, coverage on new systems."""

import io
import math
from pathlib import Path

import numpy as np
import pytest
from sqa_metrics import MetricsError, Paired, calibrate, pair
from sqa_metrics.rows.records import Coverage

HEAD = "sample_id,system_id,mos"


def paired(ref: np.ndarray, pred: np.ndarray, system: np.ndarray | None = None) -> Paired:
    """Arrays of n clips as what `calibrate` takes; systems are numbers."""
    n = len(ref)
    codes = [-1] * n if system is None else np.unique(system, return_inverse=True)[1].tolist()
    names = [("", str(k)) for k in range(max(codes) + 1)]
    coverage = Coverage(n, n, 0, 0, 0)
    return Paired(
        ["p"], ref.tolist(), [pred.tolist()], codes, names, [0] * n, [""], [coverage], [n], [len(names)]
    )


def draw(rng: np.random.Generator, systems: int, clips: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A reference, a compressed prediction with errors of systems and clips, and the systems."""
    system = np.repeat(np.arange(systems), clips)
    ref = 3 + 0.8 * rng.normal(size=systems)[system] + 0.35 * rng.normal(size=system.size)
    error = 0.25 * rng.normal(size=systems)[system] + 0.35 * rng.normal(size=system.size)
    return ref, 1.0 + 0.6 * ref + error, system


@pytest.mark.parametrize("systems", [6, 9, 10, 25])
def test_the_map_and_its_error_are_those_of_least_squares(systems: int) -> None:
    ref, pred, system = draw(np.random.default_rng(systems), systems, 6)
    made = calibrate(paired(ref, pred, system))

    def fit(rows: np.ndarray) -> tuple[float, float]:
        if systems < 10:
            return float((ref - pred)[rows].mean()), 1.0
        slope, intercept = np.polyfit(pred[rows], ref[rows], 1)
        return float(intercept), float(slope)

    assert made.line == pytest.approx(fit(np.ones(system.size, bool)))
    maps = [fit(system != k) for k in range(systems)]
    errors = ref - np.array([maps[s][0] + maps[s][1] * x for s, x in zip(system, pred, strict=True)])
    assert made.rmse == pytest.approx(np.sqrt(np.mean(errors**2)))
    assert made.rmse_unmapped == pytest.approx(np.sqrt(np.mean((ref - pred) ** 2)))
    assert made.over == ("systems" if systems >= 19 else "clips")


@pytest.mark.parametrize(("systems", "clips"), [(19, 4), (30, 5), (40, 1)])
def test_the_interval_is_the_jackknife_minmax(systems: int, clips: int) -> None:
    ref, pred, system = draw(np.random.default_rng(clips), systems, clips)
    made = calibrate(paired(ref, pred, system))
    maps = [np.polyfit(pred[system != k], ref[system != k], 1) for k in range(systems)]
    errors = np.concatenate(
        [abs(ref[system == k] - np.polyval(maps[k], pred[system == k])) for k in range(systems)]
    )
    # the ceil((K + 1) U (1 - alpha))-th of K U errors
    place = math.ceil((systems + 1) * clips * 0.95 - 1e-9)
    assert made.half_width == pytest.approx(np.sort(errors)[place - 1])
    for score in (-20.0, 1.0, 2.5, 3.0, 4.2, 30.0):
        values = [np.polyval(line, score) for line in maps]
        low, high = min(values) - made.half_width, max(values) + made.half_width
        expected = [np.clip(v, 1, 5) if made.scale else v for v in (low, high)]
        assert made.apply(score)[1:] == pytest.approx(expected)


def test_clips_of_new_systems_are_covered() -> None:
    covered = []
    for seed in range(200):
        ref, pred, system = draw(np.random.default_rng(seed), 60, 6)
        old = system < 24
        made = calibrate(paired(ref[old], pred[old], system[old]))
        bounds = np.array([made.apply(score)[1:] for score in pred[~old]])
        covered.append(np.mean((bounds[:, 0] <= ref[~old]) & (ref[~old] <= bounds[:, 1])))
    # clipping at 1 and 5 costs those references that the simulation puts outside of the scale
    assert 0.95 < np.mean(covered) < 0.995


def test_left_out_systems_of_a_real_test_are_covered(shared: Path) -> None:
    files = [shared / "data" / "scores" / f"bvcc_{name}.jsonl" for name in ("rerated_ref", "utmos_pred")]
    found = pair(files[0], {"utmos": files[1]}, allow_missing=True)
    ref, pred, system = (np.array(column) for column in (found.ref, found.preds[0], found.system))
    assert len(found.systems) == 95
    covered = []
    for seed in range(100):
        order = np.random.default_rng(seed).permutation(95)
        old, new = np.isin(system, order[:60]), np.isin(system, order[60:])
        made = calibrate(paired(ref[old], pred[old], system[old]))
        assert made.over == "systems"
        assert made.n_systems == 60
        for k in order[60:]:
            rows = new & (system == k)
            bounds = np.array([made.apply(score)[1:] for score in pred[rows]])
            covered.append(np.mean((bounds[:, 0] <= ref[rows]) & (ref[rows] <= bounds[:, 1])))
    assert 0.95 <= np.mean(covered) < 0.99


def test_thirteen_conditions_allow_no_interval_over_systems(shared: Path) -> None:
    labels = shared / "data" / "p835" / "labels.csv"
    made = calibrate(pair(labels, {"signal": labels}, ref_metric="MOS_OVRL", pred_metric="MOS_SIG"))
    assert (made.n_clips, made.n_systems, made.over) == (78, 13, "clips")
    notes = " ".join(made.notes())
    assert "13 systems allow no finite 95% interval over systems, 19 do" in notes
    assert "at clip level" in notes
    assert "new clips of the rated systems" in made.summary()[-1]


def test_an_unmapped_score_that_is_as_good_is_told() -> None:
    ref, _, system = draw(np.random.default_rng(0), 12, 3)
    pred = ref + 0.01 * np.random.default_rng(1).normal(size=36)
    assert any("does not help" in note for note in calibrate(paired(ref, pred, system)).notes())


def test_what_gives_no_map_is_refused() -> None:
    ref, pred, system = draw(np.random.default_rng(0), 12, 3)
    with pytest.raises(MetricsError, match="29 rated clips; expected at least 30"):
        calibrate(paired(ref[:29], pred[:29], system[:29]))
    with pytest.raises(MetricsError, match="do not rise with the ratings"):
        calibrate(paired(ref, -pred, system))
    with pytest.raises(MetricsError, match="one score for all clips"):
        calibrate(paired(ref, np.full(36, 3.1), system))
    with pytest.raises(MetricsError, match=r"36 rated clips allow no finite 99% interval; expected 99"):
        calibrate(paired(ref, pred, system), coverage=0.99)
    with pytest.raises(MetricsError, match="coverage is 95"):
        calibrate(paired(ref, pred, system), coverage=95)


def test_an_offset_bridges_no_scales() -> None:
    ref, pred, system = draw(np.random.default_rng(0), 12, 3)

    def found(systems: int) -> Paired:
        files = [
            io.BytesIO(
                "\n".join(
                    [HEAD, *(f"u{k},s{system[k] % systems},{v}" for k, v in enumerate(values))]
                ).encode()
            )
            for values in (np.clip(ref, 1, 5), 25 * (pred - 1))
        ]
        return pair(files[0], {"percent": files[1]})

    with pytest.raises(MetricsError, match="6 systems allow an offset alone"):
        calibrate(found(6))
    assert calibrate(found(12)).apply(50.0)[0] == pytest.approx(3, abs=1)
