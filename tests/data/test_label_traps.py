"""Label files that say too little, or two things: what is told of each."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from sqa_data import DataError, get_corpus
from sqa_data.corpus import Unusable
from sqa_data.pairs import Pair
from sqa_data.prepare import prepare
from tiny_challenges import parquet
from tiny_corpora import build


def opinions(name: str, folder: Path) -> list[object]:
    return list(get_corpus(name).parse(folder))


def left_out(name: str, folder: Path) -> list[str]:
    return [row.why for row in opinions(name, folder) if isinstance(row, Unusable)]


def test_rows_that_nobody_can_use_are_counted(tmp_path: Path) -> None:
    for name in ("aes-speech", "bernoulli-codec", "ljs-mos-120", "qualispeech", "speecheval"):
        build(name, tmp_path / name)
    assert left_out("aes-speech", tmp_path / "aes-speech") == [
        "whose audio of LibriTTS is not at hand",
        "whose audio of cv-corpus-13.0-2023-03-09 is not at hand",
    ]
    assert left_out("bernoulli-codec", tmp_path / "bernoulli-codec") == [
        "whose audio, the anchor, is not published"
    ]
    assert left_out("ljs-mos-120", tmp_path / "ljs-mos-120") == ["which its authors rejected"]
    assert left_out("qualispeech", tmp_path / "qualispeech") == ["whose clip is BVCC's and was not copied"]
    assert left_out("speecheval", tmp_path / "speecheval") == [
        "whose pair has no preference",
        "whose text states no overall quality of 1 to 5",
    ]


def test_clips_of_bvcc_are_read_once_they_are_copied(tmp_path: Path) -> None:
    build("qualispeech", tmp_path)
    (tmp_path / "wav" / "train").mkdir(parents=True)
    (tmp_path / "wav" / "train" / "sys1a-uttb.wav").write_bytes(b"")
    assert not left_out("qualispeech", tmp_path)


def test_preferences_are_pairs(tmp_path: Path) -> None:
    build("speecheval", tmp_path / "raw" / "speecheval")
    found = [row for row in opinions("speecheval", tmp_path / "raw" / "speecheval") if isinstance(row, Pair)]
    assert found == [Pair("en_a", "zh_c", preference="tie", split="train")]
    prepare("speecheval", tmp_path / "raw", tmp_path / "out", accept_layout=True)
    (line,) = (tmp_path / "out" / "speecheval" / "train" / "pairs.jsonl").read_text().splitlines()
    assert json.loads(line) == {"corpus": "speecheval", "a": "en_a", "b": "zh_c", "preference": "tie"}


def test_a_clip_is_not_compared_with_itself(tmp_path: Path) -> None:
    build("speecheval", tmp_path)
    for path in (tmp_path / DUAL, tmp_path / "preference" / "train.jsonl"):
        path.write_text(path.read_text().replace("zh_c", "en_a").replace("audio/zh", "audio/en"))
    assert "which compares a clip with itself" in left_out("speecheval", tmp_path)


def changed(file: str, old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        text = (folder / file).read_text(encoding="utf-8")
        assert old in text
        (folder / file).write_text(text.replace(old, new), encoding="utf-8")

    return change


SINGLE = "data_split/split_data_single_eval/train/multitask.jsonl"
DUAL = "data_split/split_data_dual_eval/train/multitask.jsonl"


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("aes-speech", changed("AES_natural_speech.jsonl", "8.0", "11"), "expected a number in 0..10"),
        ("aes-speech", changed("AES_natural_speech.jsonl", "/your_path/EARS", "/etc/EARS"), "no path inside"),
        ("aes-speech", changed("AES_natural_speech.jsonl", "Content_Enjoyment", "Joy"), "Content_Enjoyment"),
        (
            "bernoulli-codec",
            changed("ratings_formated_filtered.csv", "[41.0, 32.0]", "[41.0]"),
            "1 ratings of 2 participants",
        ),
        (
            "ears-emo-openace",
            changed("metadata.csv", "LC3.wav,96.5", "LC3.wav,90"),
            "is rated 90, but 96.5 further up",
        ),
        ("ears-emo-openace", changed("metadata.csv", "72.25", "172.25"), "expected a number in 0..100"),
        (
            "ljs-mos-120",
            changed("train/metadata.csv", "naturalness", "beauty"),
            "expected one of naturalness",
        ),
        ("ljs-mos-120", changed("train/metadata.csv", "worker_id", "worker"), "0 tables with the columns"),
        ("qualispeech", changed("train.csv", ",5,4,5,5,3,", ",5,4,5,5,6,"), "Overall quality is 6"),
        ("speecheval", changed(SINGLE, '"SingleEval"', '"DoubleEval"'), "task is 'DoubleEval'"),
        ("speecheval", changed(SINGLE, "audio/en/en_a", "/en_a"), "no path inside the corpus"),
        ("speecheval", changed(SINGLE, '"path": "audio/en/en_b.wav"', '"path": null'), "path is None"),
        ("speecheval", changed(DUAL, "en_b.wav_zh_c", "en_a.wav_zh_c"), "compares other clips than in"),
        ("speecheval", changed("preference/train.jsonl", "tie", "Tie"), "expected A, B or tie"),
    ],
)
def test_what_contradicts_itself_is_an_error(
    name: str, change: Callable[[Path], None], said: str, tmp_path: Path
) -> None:
    build(name, tmp_path)
    change(tmp_path)
    with pytest.raises(DataError, match=said) as error:
        opinions(name, tmp_path)
    assert str(tmp_path) in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('score="100"', 'score="101"', "expected a number in 0..100"),
        ('score="100"', 'score="nan"', "'nan'; expected a number"),
        ('subjectName="x"', "", "<info> without subjectName"),
        ('fileName="reference.wav"', 'fileName="../../x.wav"', "no path inside the corpus"),
        ("<info ", "<inform ", "no <info>"),
    ],
)
def test_a_listener_of_odaq(old: str, new: str, said: str, tmp_path: Path) -> None:
    text = (
        '<MUSHRA><info subjectName="x"/><trials><trial trialName="TM_a">'
        '<testFile fileName="reference.wav" score="100"/></trial></trials></MUSHRA>'
    )
    path = tmp_path / "ODAQ_v1_BSU" / "Cohort_B1" / "x.xml"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert len(opinions("odaq-bsu", tmp_path)) == 1
    path.write_text(text.replace(old, new))
    with pytest.raises(DataError, match=said) as error:
        opinions("odaq-bsu", tmp_path)
    assert str(path) in str(error.value)


def test_a_table_that_is_no_text_is_one_sentence(tmp_path: Path) -> None:
    build("ljs-mos-120", tmp_path)
    (tmp_path / "other.csv").write_bytes(b"audio\xff,file\n")
    with pytest.raises(DataError, match=r"other.csv:\d: not UTF-8 text"):
        opinions("ljs-mos-120", tmp_path)


def test_what_is_guessed_names_what_it_found(tmp_path: Path) -> None:
    """A table of pages as another tool writes them: columns that are missing come before any audio is looked at."""
    for name in ("mango", "mos260"):
        build(name, tmp_path / name)
    table = tmp_path / "mango" / "csvs" / "hindi_mushra.csv"
    table.write_text("session_test_id,trial_id,rating_stimulus,rating_score\nh,p1,FS2,50\n")
    (file,) = (tmp_path / "mos260").rglob("*.parquet")
    parquet(file, [{"wav": b"", "mos": 3.0}])
    for name, told in {
        "mango": "unknown columns session_test_id, trial_id, rating_stimulus, rating_score; found session_test_id",
        "mos260": "unknown columns wav, mos; found wav, mos",
    }.items():
        with pytest.raises(DataError, match=rf"{told}.* a guess.* please report what you found"):
            prepare(name, tmp_path, tmp_path / "out")
        with pytest.raises(DataError, match=r"no column '(rater_id|id)'; found "):
            prepare(name, tmp_path, tmp_path / "out", accept_layout=True)
    assert not (tmp_path / "mos260" / "audio").exists()
