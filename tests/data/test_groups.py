"""Who talks and what a clip was made from, by the keys that rows of several tools have, and by names of clips."""

from dataclasses import replace
from pathlib import Path

import pytest
from sqa_data import Utterance, get_corpus
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
        ({"talker": "p1", "ladder": "000007", "reference_path": "reference/000007-2.flac"}, "p1", "000007"),
    ],
)
def test_keys(extra: dict[str, object], talker: str | None, reference: str | None) -> None:
    assert (talker_of(row(**extra)), reference_of(row(**extra))) == (talker, reference)


def test_rows_of_urgent_mos_name_their_reference(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text('{"audio_path": "a.wav", "uid": "s1:u7", "reference_id": "u7", "duration": 1}\n')
    assert [reference_of(clip) for clip in read_manifest(path)] == ["u7"]


@pytest.mark.parametrize(
    ("corpus", "one", "same", "other"),
    [
        ("somos", "novel_2007_0098_015.wav", "novel_2007_0098_000.wav", "novel_2007_0099_015.wav"),
        ("chime-7-udase-eval", "C1_S01_a", "C2_S01_a", "C1_S02_a"),
        ("tcd-voip", "C_01_ECHO_FA", "C_12_ECHO_FA", "C_01_CHOP_FA"),
        ("tmhint-qi", "FCN_babble_-2_TMHINT_b1_01_03", "clean_TMHINT_b1_01_03", "clean_TMHINT_b1_01_02"),
        ("nisqa", "c00001_for_cnv_m_0103_01", "c00009_for_cnv_m_0103_01", "c00001_for_cnv_m_1035_02"),
        ("nisqa", "book_1_seg_live_phone_1", "book_1_seg_live_skype_600", "book_2_seg_live_phone_1"),
    ],
)
def test_a_corpus_says_which_clips_are_of_one_reference(corpus: str, one: str, same: str, other: str) -> None:
    rule = get_corpus(corpus).reference
    assert rule is not None
    assert rule(one, "s1") == rule(same, "s2") != rule(other, "s1")


def test_ttsds2_numbers_its_texts_in_each_dataset() -> None:
    rule = get_corpus("ttsds2").reference
    assert rule is not None
    assert rule("noisy-xtts-0001", "noisy-xtts") == rule("noisy-f5-tts-0001", "noisy-f5-tts")
    assert rule("noisy-xtts-0001", "noisy-xtts") != rule("kids-xtts-0001", "kids-xtts")
    assert rule("noisy-xtts-0001", "noisy-xtts") != rule("noisy-xtts-0002", "noisy-xtts")


def test_a_row_comes_before_the_rule_of_its_corpus() -> None:
    clip = Utterance("a.wav", "C1_S01_a", 1.0, {}, "C1", "chime-7-udase-eval")
    assert reference_of(clip) == "S01_a"
    assert reference_of(replace(clip, extra={"reference_id": "mine"})) == "mine"
    assert reference_of(replace(clip, corpus="pstn")) is None
