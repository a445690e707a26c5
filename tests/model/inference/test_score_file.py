"""The row of a clip: what is known of it, and nothing that goes without saying."""

from sqa_data.clip_list import ClipEntry
from sqa_model import Prediction
from sqa_model.inference.score_file import make_row


def test_a_row_says_what_is_known() -> None:
    clip = ClipEntry("s1/a.wav", "a", "s1", "vcc")
    prediction = Prediction({"mos": 3.5}, 61.23456, ("quiet: -60 dB of full scale",), windows=3)
    assert make_row(clip, prediction, "0123abcd/float32") == {
        "sample_id": "a",
        "system_id": "s1",
        "corpus": "vcc",
        "metrics": {"mos": 3.5},
        "audio_path": "s1/a.wav",
        "duration": 61.2346,
        "model": "0123abcd/float32",
        "windows": 3,
        "warnings": ["quiet: -60 dB of full scale"],
    }


def test_a_short_clip_and_an_error_say_less() -> None:
    row = make_row(ClipEntry("a.wav", "a"), Prediction({"mos": 3.5}, 2.0), "m")
    assert row.keys() == {"sample_id", "metrics", "audio_path", "duration", "model"}
    row = make_row(ClipEntry("a.wav", "a"), Prediction(error="a.wav: no such file"), "m")
    assert row["error"] == "a.wav: no such file"
    assert "metrics" not in row
