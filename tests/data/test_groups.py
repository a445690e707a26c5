"""Who talks and what a clip was made from, by the keys that rows of several tools have."""

from pathlib import Path

import pytest
from sqa_data import Utterance
from sqa_data.groups import reference_of, talker_of
from sqa_data.manifest import read_manifest


def row(**extra: object) -> Utterance:
    return Utterance("a.wav", "a", 1.0, {}, extra=extra)


@pytest.mark.parametrize(
    ("extra", "talker", "reference"),
    [
        ({}, None, None),
        ({"talker": "p232", "reference_path": "reference/a.flac"}, "p232", "reference/a.flac"),
        ({"speaker": 7, "reference_id": "u7", "reference_path": "x.wav"}, "7", "u7"),
        ({"talker": "", "speaker_id": "s"}, "s", None),
        ({"talker": None, "reference_id": True}, None, None),
        ({"speaker": ["a"], "source_id": 0}, None, "0"),
    ],
)
def test_keys(extra: dict[str, object], talker: str | None, reference: str | None) -> None:
    assert (talker_of(row(**extra)), reference_of(row(**extra))) == (talker, reference)


def test_rows_of_urgent_mos_name_their_reference(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text('{"audio_path": "a.wav", "uid": "s1:u7", "reference_id": "u7", "duration": 1}\n')
    assert [reference_of(clip) for clip in read_manifest(path)] == ["u7"]
