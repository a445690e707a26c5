"""`sqa-cli submit`: what it writes, and everything that it refuses."""

import json
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result
from commands import rows, run
from sqa_cli.main import main
from sqa_cli.submit import ANSWERS
from sqa_model.inference.submission import ANSWERS as FILES

ABOUT = ["--team", "us", "--model-size", "2.5", "--pretrained", "wavlm-base-plus"]


def submit(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["submit", *map(str, arguments), *ABOUT])


def write_results(path: Path, scores: Sequence[object], **changes: dict) -> Path:
    with path.open("w", encoding="utf-8") as file:
        for i, score in enumerate(scores):
            row = {"sample_id": f"fileid_{i}", "metrics": {"mos": score}, **changes.get(f"row{i}", {})}
            file.write(json.dumps(row) + "\n")
    return path


def test_submission(wavs: Path, model: str) -> None:
    for path in wavs.iterdir():
        path.rename(path.with_name(path.name.replace(" ", "_")))
    run("predict", "wavs", "--model", model, "--out", "r.jsonl")
    result = submit("r.jsonl", "--out", "team.zip", "--count", 12, "--expected", "wavs")
    assert result.exit_code == 0, result.output
    with zipfile.ZipFile("team.zip") as archive:
        assert archive.namelist() == ["mos.scp", "README.yaml"]
        lines = archive.read("mos.scp").decode().splitlines()
        about = yaml.safe_load(archive.read("README.yaml"))
    assert lines == [f"{r['sample_id']} {r['metrics']['mos']}" for r in rows("r.jsonl")]
    assert about["team"] == "us"
    assert about["model_size"] == 2.5
    assert about["pretrained_models"] == ["wavlm-base-plus"]


@pytest.mark.parametrize(
    ("scores", "changes", "options", "message"),
    [
        ([3.0, float("nan")], {}, [], "1 without a finite score, such as fileid_1"),
        ([3.0, None], {}, [], "1 without a finite score"),
        ([3.0, "4"], {}, [], "1 without a finite score"),
        ([3.0, 3.1], {"row1": {"metrics": {}, "error": "no such file"}}, [], "fileid_1: no such file"),
        ([3.0, 3.1], {"row1": {"sample_id": "a/fileid_0.wav"}}, [], ": 1 more than once, such as fileid_0;"),
        (  # counted whether scored or not, and as one clip
            [3.0, None, 3.2],
            {"row1": {"sample_id": "fileid_0"}, "row2": {"sample_id": "fileid_0"}},
            ["--count", 3],
            "1 without a finite score, such as fileid_0: mos is None; 1 more than once, such as fileid_0; "
            "1 clips with a score, expected 3;",
        ),
        (  # a clip that failed is there: another one is missing
            [3.0, None],
            {"row1": {"sample_id": "other"}},
            ["--expected", "e.scp"],
            "1 without a finite score, such as other: mos is None; 1 missing, such as fileid_1; 1 not asked for",
        ),
        ([3.0, 3.1], {}, ["--count", 3], "2 clips with a score, expected 3"),
        ([3.0], {}, ["--expected", "e.scp"], "1 missing, such as fileid_1"),
        ([3.0, 3.1, 3.2], {}, ["--expected", "e.scp"], "1 not asked for, such as fileid_2"),
        ([3.0], {"row0": {"sample_id": "a b"}}, [], ": 1 with a blank in the name, such as 'a b';"),
        ([], {}, [], "no scores"),
    ],
)
def test_submission_refuses(
    scores: list, changes: dict, options: list, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("e.scp").write_text("fileid_0 a.wav\nfileid_1 b.wav\n")
    results = write_results(tmp_path / "r.jsonl", scores, **changes)
    result = submit(results, "--out", "team.zip", *options)
    assert result.exit_code == 1
    assert message in result.output
    assert not Path("team.zip").exists()


# ----- answers: clips and pairs in one file ---------------------------------------------------------------------------

CLIPS = {"acr_2": 3.25, "acr_1": 5.3}
PAIRS = {"ccr_2": -0.00001, "ccr_1": -3.5}


def write_answers(folder: Path, clips: dict = CLIPS, pairs: dict = PAIRS) -> tuple[Path, Path]:
    """Results of clips and of pairs, as `predict` writes them; a text in place of a score is an error."""
    files = folder / "acr.jsonl", folder / "ccr.jsonl"
    for path, scores, head in zip(files, (clips, pairs), ("mos", "cmos"), strict=True):
        with path.open("w") as file:
            for name, score in scores.items():
                sides = {"a": f"{name}_a", "b": f"{name}_b"} if head == "cmos" else {}
                said = {"error": score} if isinstance(score, str) else {"metrics": {head: score}}
                file.write(json.dumps({"sample_id": name, **sides, **said}) + "\n")
    return files


def answer(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["submit", *map(str, arguments)])


@pytest.fixture
def asked(tmp_path: Path) -> list[object]:
    """The options that name what was asked for, beside results that have it."""
    (tmp_path / "clips.scp").write_text("acr_1 1.wav\nacr_2 2.wav\n")
    pairs = [json.dumps({"a": f"ccr_{i}_a", "b": f"ccr_{i}_b"}) + "\n" for i in (1, 2)]
    (tmp_path / "pairs.jsonl").write_text("".join(pairs))
    return ["--expected", tmp_path / "clips.scp", "--pairs", tmp_path / "pairs.jsonl"]


def test_answers_are_clamped_sorted_and_zipped(asked: list[object], tmp_path: Path) -> None:
    files = write_answers(tmp_path)
    for challenge, name, text in (
        (
            "voicemos2026",
            "predictions.csv",
            "sample_id,pred_score\nacr_1,5.0000\nacr_2,3.2500\nccr_1,-3.0000\nccr_2,0.0000\n",
        ),
        (
            "urgent2026",
            "predictions.scp",
            "acr_1 5.0000\nacr_2 3.2500\nccr_1 -3.0000\nccr_2 0.0000\n",
        ),
    ):
        out, packed = tmp_path / name, tmp_path / f"{challenge}.zip"
        result = answer(*files, "--challenge", challenge, "--out", out, *asked)
        assert (result.exit_code, result.stdout) == (0, f"{out}: 2 clips, 2 pairs\n"), result.output
        assert out.read_bytes() == text.encode()
        assert answer(*files[::-1], "--challenge", challenge, "--out", packed, *asked).exit_code == 0
        with zipfile.ZipFile(packed) as archive:
            assert archive.namelist() == [name]
            assert archive.read(name) == text.encode()
    judged = [
        "pairs",
        "--ref",
        str(tmp_path / "predictions.csv"),
        "--pred",
        str(tmp_path / "predictions.scp"),
    ]
    assert CliRunner().invoke(main, judged).exit_code == 0


def test_answers_are_as_many_as_the_challenge_has(tmp_path: Path) -> None:
    """Without names of what was asked for."""
    clips, pairs = ({f"{kind}_{i}": 1.0 for i in range(n)} for kind, n in (("acr", 1008), ("ccr", 2520)))
    files, out = write_answers(tmp_path, clips, pairs), tmp_path / "answers.csv"
    result = answer(*files, "--challenge", "voicemos2026", "--out", out)
    assert result.stdout == f"{out}: 1,008 clips, 2,520 pairs\n", result.output
    result = answer(*files, "--challenge", "urgent2026", "--out", tmp_path / "x.scp")
    assert (
        "found 1,008 clips and 2,520 pairs with a score, expected 5,040 and 12,600 (urgent" in result.output
    )
    result = answer(files[0], "--challenge", "voicemos2026", "--out", tmp_path / "x.csv")
    assert (
        "found 1,008 clips and 0 pairs with a score, expected 1,008 and 2,520 (vmc2026-track1-dev) or 4,032 and "
        "10,080 (vmc2026-track1-test)" in result.output
    )
    assert result.exit_code == 1
    assert not list(tmp_path.glob("x.*"))


@pytest.mark.parametrize(
    ("clips", "pairs", "message"),
    [
        ({"acr_1": "no such file"}, {}, "clips: 1 without a finite score, such as acr_1: no such file;"),
        ({}, {"ccr_1": "clip b: silent"}, "pairs: 1 without a finite score, such as ccr_1: clip b: silent;"),
        ({"acr_3": 2.0}, {}, "clips: 1 not asked for, such as acr_3;"),
        ({}, {"ccr_3": 2.0}, "pairs: 1 not asked for, such as ccr_3;"),
        ({"acr_1": None}, {}, "clips: 1 without a finite score, such as acr_1: mos is None;"),
        ({}, {"ccr_9_a|ccr_9_b": 0.0}, "pairs: 1 not asked for, such as ccr_9_a|ccr_9_b;"),
    ],
)
def test_answers_refused(clips: dict, pairs: dict, message: str, asked: list[object], tmp_path: Path) -> None:
    files = write_answers(tmp_path, CLIPS | clips, PAIRS | pairs)
    result = answer(*files, "--challenge", "voicemos2026", "--out", tmp_path / "x.csv", *asked)
    assert result.exit_code == 1
    assert message in result.output
    assert not (tmp_path / "x.csv").exists()


def test_answers_missing_doubled_and_without_an_id(asked: list[object], tmp_path: Path) -> None:
    clips, pairs = write_answers(tmp_path)
    where = ["--challenge", "voicemos2026", "--out", tmp_path / "x.csv", *asked]
    assert "pairs: 2 missing, such as ccr_1; no submission written" in answer(clips, *where).output
    doubled = answer(clips, pairs, pairs, *where).output
    assert f"{pairs}, {pairs}: pairs: 2 more than once, such as ccr_2; no submission" in doubled
    with pairs.open("a") as file:
        file.write('{"sample_id": "x|y", "a": "x", "b": "y", "metrics": {"cmos": 0}}\n')
    assert "1 without an id of their own, such as x|y" in answer(clips, pairs, *where).output


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--team", "us"], "Missing --model-size, which urgent2026-track2 needs."),
        ([], "Missing --team and --model-size"),
        (["r.jsonl", *ABOUT], "one file of results, and no pairs"),
        (["--challenge", "voicemos2026", *ABOUT], "--pretrained, --team, --model-size: of urgent2026-track2"),
        (["--challenge", "voicemos2026", "--expected", "x"], "--expected (clips) and --pairs go together"),
        (["--challenge", "vmc"], "'vmc' is not one of 'urgent2026-track2', 'voicemos2026', 'urgent2026'"),
    ],
)
def test_options_of_another_challenge(
    options: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_results(Path("r.jsonl"), [3.0])
    result = answer("r.jsonl", "--out", "x.zip", *options)
    assert (result.exit_code, message in result.output) == (2, True), result.output


def test_every_challenge_is_offered() -> None:
    assert list(FILES) == ANSWERS
