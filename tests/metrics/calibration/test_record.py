"""The file of a calibration: written whole, read strictly, applied without NumPy and Numba."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqa_metrics import Calibration, MetricsError, read_calibration, write_calibration
from sqa_metrics.calibration.record import Line, as_dict

MADE = Calibration(
    metric="mos",
    model="1f0c9a3e/float32",
    line=Line(-0.5, 1.2),
    lowest=[Line(-0.6, 1.2)],
    highest=[Line(-0.4, 1.1), Line(-0.5, 1.3)],
    half_width=0.5,
    coverage=0.95,
    over="systems",
    scale=(1.0, 5.0),
    n_clips=95,
    n_systems=19,
    rmse=0.4,
    rmse_unmapped=0.7,
)


def test_it_is_written_whole_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "cal.json"
    for _ in range(2):
        write_calibration(MADE, path)
    assert read_calibration(path) == MADE
    assert [file.name for file in tmp_path.iterdir()] == ["cal.json"]
    assert read_calibration(path).name == MADE.name


def test_it_is_applied_within_the_scale() -> None:
    assert MADE.apply(2.0) == pytest.approx((1.9, 1.3, 2.6))
    assert MADE.apply(4.5) == pytest.approx((4.9, 4.3, 5.0))
    assert MADE.outputs({"mos": 2.0, "dnsmos_ovrl": 1.0}) == pytest.approx(
        {"mos_cal": 1.9, "mos_low": 1.3, "mos_high": 2.6}
    )


DAMAGE: list[tuple[tuple[str, ...], Any, str]] = [
    (("sqa_calibration",), 2, "its version is 2, this program reads 1"),
    (("surprise",), 1, "'surprise' is unknown in it"),
    (("interval", "surprise"), 1, "'surprise' is unknown in interval"),
    (("metric",), "", "expected to be names"),
    (("model",), 3, "expected to be names"),
    (("map",), [1.0], "map is expected to be 2 numbers"),
    (("map",), [1.0, True], "map is 'True', expected a number"),
    (("map",), [1.0, 1e300], "expected a number"),
    (("map",), [1.0, -1.0], "map is expected to rise"),
    (("scale",), [5, 1], "scale is expected to rise"),
    (("interval",), [], "interval is expected to be an object"),
    (("interval", "lowest"), [], "lowest is expected to be a list of maps"),
    (("interval", "half_width"), -0.1, "half_width is expected to be 0 or more"),
    (("interval", "coverage"), 95, "coverage to lie between 0 and 1"),
    (("interval", "over"), "raters", "over is 'raters'"),
    (("made_from", "clips"), 30.5, "expected to be counts"),
    (("made_from", "rmse"), None, "rmse is 'None'"),
]


@pytest.mark.parametrize(("keys", "value", "message"), DAMAGE)
def test_what_is_not_as_it_was_written_is_refused(
    tmp_path: Path, keys: tuple[str, ...], value: Any, message: str
) -> None:
    content: Any = as_dict(MADE)
    place = content
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    path = tmp_path / "cal.json"
    path.write_text(json.dumps(content))
    with pytest.raises(MetricsError, match=message) as error:
        read_calibration(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b'{"a": NaN}',
        b"[" * 100_000,
        json.dumps(as_dict(MADE)).replace("0.5", "Infinity").encode(),
        json.dumps(as_dict(MADE)).encode() + b" " * 1_000_001,
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "cal.json"
    path.write_bytes(content)
    with pytest.raises(MetricsError, match=r"cal\.json: no calibration"):
        read_calibration(path)


def test_places_that_are_no_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MetricsError, match="cannot be read: No such file"):
        read_calibration(tmp_path / "absent.json")
    with pytest.raises(MetricsError, match="expected a file of `calibrate`"):
        read_calibration("/dev/zero")
    with pytest.raises(MetricsError, match="expected the name of a file"):
        write_calibration(MADE, tmp_path)
    with pytest.raises(MetricsError, match="its folder does not exist; make it first"):
        write_calibration(MADE, tmp_path / "no folder" / "cal.json")


def test_applying_loads_no_arrays(tmp_path: Path) -> None:
    write_calibration(MADE, tmp_path / "cal.json")
    code = (
        "import sys; from sqa_metrics.calibration.record import read_calibration; "
        "print(read_calibration(sys.argv[1]).apply(3.0)[0], [m for m in ('numpy', 'numba') if m in sys.modules])"
    )
    out = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "cal.json")], capture_output=True, text=True, check=True
    ).stdout
    assert out.split(" ", 1)[1].strip() == "[]"


def test_the_width_in_the_middle_holds_the_maps_too() -> None:
    low, middle, high = Line(0.0, 1.0), Line(0.25, 1.0), Line(0.5, 1.0)
    made = Calibration("mos", None, middle, [low], [high], 0.4, 0.95, "clips", (1.0, 5.0), 30, 0, 0.2, 0.6)
    below, above = made.apply(2.75)[1:]
    assert (below, above) == pytest.approx((2.35, 3.65))
    assert made.apply_width() == pytest.approx(0.65)
    assert "+-0.650 in the middle" in made.summary()[-1]
