"""`ratings` at the terminal: a summary that fits a screen, details, JSON, rows for `score`, and what is refused."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from sqa_cli.main import main


def run(*arguments: str, stdin: str | None = None) -> Result:
    result = CliRunner().invoke(main, ["ratings", *arguments], input=stdin, prog_name="sqa-cli")
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def file(tmp_path: Path) -> str:
    """30 clips of 3 systems, heard by 10 raters of whom one answers upside down and some score again."""
    rng = np.random.default_rng(0)
    lines = ["sample_id,system_id,listener_id,score"]
    for clip in range(30):
        votes = np.clip(np.round(np.array([2, 3, 4])[clip % 3] + rng.normal(0, 0.8, 10)), 1, 5)
        votes[9] = 6 - votes[9]
        lines += [f"u{clip},s{clip % 3},r{rater},{vote:.0f}" for rater, vote in enumerate(votes)]
    lines += [f"u{clip},s{clip % 3},r0,3" for clip in range(5)]
    path = tmp_path / "ratings.csv"
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def test_summary_fits_a_screen(file: str) -> None:
    result = run(file)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert len(lines) < 24
    assert lines[0].split(None, 1) == ["votes", "300 by 10 raters of 30 clips of 3 systems"]
    assert any(line.startswith("stand out") and "1 of 10: r9 (deviating" in line for line in lines)
    assert any(line.startswith("scored again") and "5 clips" in line for line in lines)
    assert [line.split()[0] for line in lines[-4:]] == ["system", "s2", "s1", "s0"]
    assert "note: BT.500 can never flag who differs alone" in result.stderr


@pytest.mark.parametrize(
    ("style", "start"), [("markdown", "| listening test"), ("latex", r"\begin{tabular}")]
)
def test_details_in_each_style(file: str, style: str, start: str) -> None:
    plain = run(file, "--raters", "--clips").stdout
    assert [plain.count(f"\n{name}") for name in ("rater ", "r9", "clip ", "u29")] == [1, 1, 1, 1]
    assert run(file, "--raters", "--format", style).stdout.startswith(start)


def test_json_holds_everything(file: str) -> None:
    value = json.loads(run(file, "--json", "--clips").stdout)
    assert (value["n_votes"], value["n_raters"], value["flagged"]) == (300, 10, ["r9"])
    assert [len(value[key]) for key in ("systems", "raters", "clips")] == [3, 10, 30]
    assert value["raters"][9]["flags"][0] == "deviating"
    assert value["without_flagged"]["clips_without_votes"] == 0
    assert set(value["ceiling"]) == {"utterance", "system"}
    assert "clips" not in json.loads(run(file, "--json").stdout)


def test_json_of_one_vote_is_valid(tmp_path: Path) -> None:
    value = json.loads(run("-", "--json", "--clips", stdin="sample_id,rater,score\nu1,a,3\n").stdout)
    assert value["alpha"] == {"interval": None, "ordinal": None}
    assert value["clips"][0] == {"corpus": "", "sample_id": "u1", "votes": 1, "mos": 3.0, "std": None,
                                 "half_width": None, "unbiased": 3.0}  # fmt: skip


def test_out_is_a_reference_for_score(file: str, tmp_path: Path) -> None:
    out = tmp_path / "mos.jsonl"
    result = run(file, "--out", str(out), "--without-flagged")
    assert f"{out}: 30 clips" in result.stderr
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert set(rows[0]) == {"sample_id", "system_id", "metrics", "votes", "mos_std"}
    assert rows[0]["votes"] == 9
    scored = CliRunner().invoke(main, ["score", "--ref", str(out), "--pred", str(out), "--json"])
    assert json.loads(scored.stdout)["n_systems"] == 3
    assert set(tmp_path.iterdir()) == {Path(file), out}


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--out", "FILE"], 2, "--out is the file of ratings itself"),
        (["--out", "/nowhere/mos.jsonl"], 1, "/nowhere/mos.jsonl: its folder does not exist"),
        (["--estimate", "unbiased"], 2, "--out says where"),
        (["--out", "x", "--estimate", "unbiased", "--without-flagged"], 2, "leave --estimate out"),
        (["--scale", "5"], 1, "scale is '5'; expected LOW..HIGH such as 1..5"),
        (["--scale", "1..4"], 1, "scores from 1 to 5; expected 1..4"),
    ],
)
def test_refused(file: str, arguments: list[str], code: int, message: str) -> None:
    result = run(file, *[file if a == "FILE" else a for a in arguments])
    assert result.exit_code == code
    assert message in " ".join(result.stderr.split())
    assert "Traceback" not in result.stderr


def test_what_rates_all_alike_is_not_said_to_differ_between_clips(tmp_path: Path) -> None:
    for name, rows in {"one": "u1,a,3\n", "same": "u1,a,3\nu1,b,3\nu2,a,3\nu2,b,3\n"}.items():
        (tmp_path / name).write_text("sample_id,listener_id,score\n" + rows)
        lines = run(str(tmp_path / name)).stdout
        assert "differ between clips" not in lines
    assert "1 vote a clip, 1 clip a rater" in run(str(tmp_path / "one")).stdout
    (tmp_path / "some").write_text("sample_id,listener_id,score\nu1,a,3\nu1,b,4\nu2,a,3\n")
    assert "(raters differ between clips)" in run(str(tmp_path / "some")).stdout


def test_out_never_takes_the_place_of_a_device(file: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    result = run(file, "--out", str(tmp_path / "pipe"))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "pipe: is a folder or a device; expected the name of a file to write" in result.stderr
