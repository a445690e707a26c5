"""What is easily read wrong in the label files of challenges, and what a surprise in them says."""

from pathlib import Path

import pytest
from sqa_data import DataError, get_corpus, list_corpora
from sqa_data.corpus import SETS, Rating, Sample, Unusable, asked_again, related
from sqa_data.pairs import Pair
from sqa_data.prepare.unpack import unpack_corpus
from tiny_corpora import build


def opinions(name: str, tmp_path: Path) -> list[object]:
    build(name, tmp_path / name)
    corpus = get_corpus(name)
    return list(corpus.parse(unpack_corpus(corpus, tmp_path)))


def test_listeners_of_two_tests_are_never_one(tmp_path: Path) -> None:
    """Their numbers start anew; a clip and its system are asked about in two tests."""
    found = [row for row in opinions("amc25-track3", tmp_path) if isinstance(row, Rating)]
    assert (
        len({(row.split, row.listener_id) for row in found}) == len({row.listener_id for row in found}) == 6
    )
    tests = {
        split: {row.system_id for row in found if row.split == split} for split in ("single_16k", "mixed_dev")
    }
    assert not set.intersection(*tests.values())
    assert {row.language for row in found} == {"en", "ja"}
    assert asked_again("amc25-track3", "single_24k", "mixed_dev")
    assert not asked_again("amc25-track3", "mixed_dev", "mixed_test")


def test_two_groups_of_listeners_are_two_tests(tmp_path: Path) -> None:
    """And listeners whom the organisers call invalid are left out, with their number."""
    found = opinions("vcc2020", tmp_path)
    systems = {
        split: {row.system_id for row in found if isinstance(row, Rating) and row.split == split}
        for split in ("english", "japanese")
    }
    assert not set.intersection(*systems.values())
    assert [row.why for row in found if isinstance(row, Unusable)] == [
        "by listeners whom the organisers call invalid"
    ] * 2
    assert {row.language for row in found if isinstance(row, Rating) and "_ref-TFM1" in row.sample_id} == {
        "fi"
    }


def test_votes_of_one_listener_on_one_clip_all_count(tmp_path: Path) -> None:
    found = [row for row in opinions("svcc23", tmp_path) if isinstance(row, Rating)]
    assert [row.value for row in found if row.listener_id == "l1"] == [3, 5, 4]


def test_one_vote_is_not_the_mean_of_a_clip(tmp_path: Path) -> None:
    found = [row for row in opinions("vcc2018-ldnet", tmp_path) if isinstance(row, Sample)]
    assert [(row.split, row.metrics, row.votes, row.ratings) for row in found] == [
        ("dev", {"mos": 3.25}, None, ()),
        ("test", {"mos": 4.0}, None, ()),
    ]


def test_preferences_without_a_label_are_counted(tmp_path: Path) -> None:
    found = opinions("speechjudge", tmp_path)
    pairs = [row for row in found if isinstance(row, Pair)]
    assert [(row.a, row.b, row.preference, row.votes) for row in pairs] == [
        ("train-0A", "train-0B", "a", 2),
        ("dev-0A", "dev-0B", "b", 2),
        ("test-0A", "test-0B", "tie", 2),
    ]
    assert [row.why for row in found if isinstance(row, Unusable)] == ["a pair without a preference"]
    assert {row.language for row in found if isinstance(row, Sample)} == {"en"}


def test_a_clip_in_no_set_is_counted(tmp_path: Path) -> None:
    left = [row for row in opinions("singmos-pro", tmp_path) if isinstance(row, Unusable)]
    assert [row.row.rpartition(" ")[2] for row in left] == ["sys0009-utt0009"]


@pytest.mark.parametrize(
    ("name", "file", "old", "new", "says"),
    [
        ("svcc23", "listener_wise_answer.csv", "-SF1-", "_SF1_", ":2: .*expected TRACK-SYSTEM-SOURCE"),
        ("bc23", "answer.csv", "A-NEB_", "A_", ":1: .*expected VoiceMOS2023Track1-TEAM-VOICE"),
        ("vcc2018", "vcc2018_evaluation_mos.txt", "N11_VCC2TF1_", "N11_", ":1: .*expected SYSTEM_TARGET"),
        ("vcc2018", "vcc2018_evaluation_mos.txt", ",3,", ",6,", ":1: "),
        ("vcc2018", "vcc2018_evaluation_mos.txt", ",2018-01-01", "", ":1: 15 fields; expected 16"),
        ("vcc2018-ldnet", "vcc2018_valid_data.csv", "3.25", "0.5", ":2: MEAN is 0.5"),
        (
            "amc25-track3",
            "sysMap.txt",
            "nvSR|",
            "other|",
            "utt_16k.csv:2: .*expected audiomos-track3-RATE_SYSTEM",
        ),
        (
            "amc25-track3",
            "utt_16k.csv",
            "audiomos-track3-16k",
            "16kHz",
            ":2: .*expected audiomos-track3-RATE",
        ),
        (
            "vcc2020",
            "*EnglishListeners.json",
            '"team14_intra"',
            '"team14"',
            "score 0: clip .*expected SYSTEM-SPEAKERS",
        ),
        ("vcc2020", "*EnglishListeners.json", '"state"', '"status"', "found no 'state'; expected"),
        ("vcc2020", "*JapaneseListeners.json", '"result"', '"results"', "found no 'result'; expected"),
        ("singmos-pro", "score.json", '"mos"', '"mean"', "score.json: sys0001-utt0001: .*expected sys_id"),
        ("singmos-pro", "score.json", "[1, 2]", "[1]", "expected .* as many judges as scores"),
        ("singmos-pro", "score.json", '"utterance"', '"clips"', "score.json: expected"),
        ("singmos-pro", "score.json", "}", "", "score.json: no JSON"),
        ("singmos-pro", "split.json", "test1", "p1", "split.json: expected lists of clips by train, test1"),
        ("singmos-pro", "score.json", "wav/sys", "../sys", "is no path inside the corpus"),
    ],
)
def test_a_surprise_is_one_sentence(
    name: str, file: str, old: str, new: str, says: str, tmp_path: Path
) -> None:
    build(name, tmp_path / name)
    corpus = get_corpus(name)
    root = unpack_corpus(corpus, tmp_path)
    (path,) = root.rglob(file)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(DataError, match=says) as error:
        list(corpus.parse(root))
    assert "\n" not in str(error.value)


def test_an_unknown_preference_is_an_error(tmp_path: Path) -> None:
    import pandas as pd

    build("speechjudge", tmp_path / "speechjudge")
    path = tmp_path / "speechjudge" / "dev-00000-of-00001.parquet"
    table = pd.read_parquet(path)
    for column, value, says in (
        ("naturalness_label", "C", "row 1: .* is 'C'"),
        ("naturalness_label", ["A"], "row 1: .* expected one of A, B, Tie"),
        ("naturalness_annotation", "A+2", "row 1: naturalness_annotation is 'A\\+2'; expected a list"),
        ("index", None, "row 1: no index"),
    ):
        table.assign(**{column: [value]}).to_parquet(path)
        with pytest.raises(DataError, match=says):
            list(get_corpus("speechjudge").parse(tmp_path / "speechjudge"))


def test_what_is_known_of_copies() -> None:
    """Names in sets, of other corpora and of splits are names that exist."""
    known = {corpus.name: corpus for corpus in list_corpora()}
    assert not {name for _, names in SETS.values() for name in names} - known.keys()
    for corpus in known.values():
        assert {name for name in (*corpus.contains, corpus.audio_of) if name} <= known.keys()
        assert {other for split in corpus.splits.values() for other in split.again} <= corpus.splits.keys()
    assert related("vmc2026-track1-test", "urgent2026-sqa")
    assert related("bvcc", "vcc2020")
    assert related("bvcc", "vcc2018-ldnet")
    assert related("vcc2018", "vcc2018-ldnet")
    assert related("somos", "somos-full")
    assert related("qualispeech", "speecheval")  # by bvcc, which both hold
    assert related(
        "vcc2018-ldnet", "vmc24-zoomed"
    )  # over the audio of vcc2018 and of bvcc, which holds clips of that
    assert not related("somos-full", "bvcc")
    assert not related("vcc2018", "vcc2020")
    assert not related("vmc2026-track1-dev", "vmc2026-track1-test")
