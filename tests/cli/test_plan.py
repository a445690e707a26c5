"""`plan` at the terminal: from a pilot, from assumed spreads, and what is refused."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqa_cli.main import main


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(main, ["plan", *arguments], prog_name="sqa-cli")
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def pilot(tmp_path: Path) -> str:
    rows = [f"u{c},s{c % 3},r{r},{1 + (c % 3) + (c * r + r) % 3}" for c in range(12) for r in range(6)]
    path = tmp_path / "pilot.csv"
    path.write_text("\n".join(["sample_id,system_id,listener_id,score", *rows]) + "\n")
    return str(path)


def test_from_assumed_spreads() -> None:
    result = run("--sd", "1", "--half-width", "0.2")
    lines = result.stdout.splitlines()
    assert [line.split() for line in lines[:2]] == [
        ["clips", "a", "system", "votes", "a", "clip", "votes", "a", "system"],
        ["1", "99", "99"],
    ]
    assert "standard deviations: 1.000 of a vote within a rater" in result.stderr
    same = json.loads(run("--a", "0.25", "--half-width", "0.2", "--json").stdout)
    assert same["designs"][0] == {"clips": 1, "votes_per_clip": 99, "votes": 99}
    found = json.loads(run("--a", "0.25", "--scale", "0..100", "--half-width", "5", "--json").stdout)
    assert found["designs"] == same["designs"]


def test_differences_and_predictors() -> None:
    arguments = ("--sd", "1", "--difference", "0.3", "--clip-sd", "0.3", "--rater-share", "0.3")
    found = json.loads(run(*arguments, "--json").stdout)
    assert found["designs"][0]["votes"] == 125
    assert found["designs"][1]["votes"] is None
    assert "where no number of votes is enough" in run(*arguments).stderr
    assert run("--predictors", "0.90,0.85,0.85").stdout.startswith("166 systems")
    assert json.loads(run("--predictors", "0.90,0.85,0.85", "--json").stdout)["systems"] == 166


def test_from_a_pilot(pilot: str) -> None:
    found = json.loads(run(pilot, "--half-width", "0.5", "--json").stdout)
    assert found["variance"]["rest"] > 0
    fresh = json.loads(run(pilot, "--half-width", "0.5", "--fresh-raters", "--json").stdout)
    assert fresh["designs"][-1]["votes"] <= found["designs"][-1]["votes"]


def test_from_published_means(shared: Path) -> None:
    file = str(shared / "data" / "p835" / "labels.csv")
    found = json.loads(run(file, "--columns", "mos=MOS_OVRL", "--half-width", "0.3", "--json").stdout)
    assert 0.5 < found["variance"]["rest"] < 1.2
    assert found["variance"]["rater"] == 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "one of --half-width, --difference and --predictors says what is wanted"),
        (["--half-width", "1", "--difference", "1"], 2, "says what is wanted"),
        (["--half-width", "1"], 2, "one of PILOT, --sd and --a says how votes vary"),
        (["--half-width", "1", "--sd", "1", "--a", ".2"], 2, "says how votes vary"),
        (
            ["PILOT", "--half-width", "1", "--clip-sd", "1"],
            2,
            "--clip-sd goes with --sd or --a; a pilot shows it",
        ),
        (["PILOT", "--half-width", "1", "--rater-share", "0"], 2, "a pilot shows it itself"),
        (["--sd", "-1", "--half-width", "1"], 1, "sd is -1; expected a standard deviation above 0"),
        (["--predictors", "0.9,0.8"], 2, "expected 3 numbers"),
        (["--predictors", "0.9,0.8,nan"], 2, "expected 3 numbers"),
        *(
            ([*option, "--predictors", "0.9,0.8,0.7"], 2, f"{option[0]} says how votes vary; leave it out")
            for option in (
                ["PILOT"],
                ["--sd", "1"],
                ["--rater-share", "0.2"],
                ["--fresh-raters"],
                ["--scale", "1..5"],
                ["--utt2sys", "x"],
            )
        ),
        (["--sd", "1", "--half-width", "1", "--power", "0.9"], 2, "--power goes with --difference or"),
        (["--sd", "1", "--half-width", "1", "--scale", "0..100"], 2, "--scale goes with PILOT or --a"),
        (["--sd", "1", "--half-width", "1", "--metric", "ovr"], 2, "--metric is about reading PILOT"),
        (["--sd", "1", "--half-width", "1", "--json", "--format", "latex"], 2, "--format is of tables"),
        (["PILOT", "--half-width", "1", "--mos", "3"], 2, "--mos goes with --a"),
        (["--sd", "1", "--half-width", "1", "--mos", "3"], 2, "--mos goes with --a"),
        (["--a", ".2", "--half-width", "1", "--scale", "pred:1..5"], 1, "expected LOW..HIGH such as 1..5"),
        (["nowhere.csv", "--half-width", "1"], 1, "nowhere.csv: no such file"),
    ],
)
def test_refused(pilot: str, arguments: list[str], code: int, message: str) -> None:
    result = run(*[pilot if a == "PILOT" else a for a in arguments])
    assert result.exit_code == code
    assert message in " ".join(result.stderr.split())
