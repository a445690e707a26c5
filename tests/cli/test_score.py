"""`score`, `compare`, `rank` at the terminal: from both programs, for people and for programs, and without torch."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from sqa_cli.main import COMMANDS, main
from sqa_metrics.cli import main as metrics_main
from sqa_metrics.cli.options import FloatRange, Number


def run(*arguments: str, stdin: str | None = None) -> Result:
    result = CliRunner().invoke(main, arguments, input=stdin, prog_name="sqa-cli")
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def files(root: Path) -> dict[str, str]:
    return {p.stem: str(p) for p in (root / "examples" / "scores").glob("*.jsonl")}


def test_score_prints_a_table(files: dict[str, str]) -> None:
    result = run("score", "--ref", files["ref"], "--pred", files["sharp"])
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines[:3]] == ["level", "utterance", "system"]
    assert lines[3] == ""
    assert re.fullmatch(r"sqa\|v:[\d.]+\|.*\|cov:240/240\|sys:12\|ci:none\|ref:[0-9a-f]{8}", lines[4])


@pytest.mark.parametrize("command", ["score", "compare", "rank"])
def test_html_holds_the_signature(command: str, files: dict[str, str]) -> None:
    preds = ["--pred", files["sharp"]] if command == "score" else [files["sharp"], files["blunt"]]
    result = run(command, "--ref", files["ref"], *preds, "--format", "html")
    assert result.exit_code == 0
    assert re.fullmatch(r"<div>sqa\|v:.*</div>", result.stdout.splitlines()[-1])


@pytest.mark.parametrize("command", ["score", "compare", "rank"])
def test_a_quoted_signature_is_verified(command: str, files: dict[str, str]) -> None:
    preds = ["--pred", files["sharp"]] if command == "score" else [files["sharp"], files["blunt"]]
    arguments = [command, "--ref", files["ref"], *preds]
    own = run(*arguments).stdout.splitlines()[-1]
    assert run(*arguments, "--verify-signature", own).exit_code == 0
    assert run(*arguments, "--verify-signature", own, "--json").exit_code == 0
    for unset in ("--verify-signature", "--utt2sys"):  # as of a variable that holds nothing
        assert run(*arguments, unset, "").exit_code == 1
    result = run(*arguments, "--verify-signature", own.replace("sys:12", "sys:11"))
    assert result.exit_code == 1
    told = "Error: the signature differs: sys 12 here, 11 quoted (other systems)"
    assert result.stderr.splitlines()[-1] == told
    assert own in result.stdout
    assert json.loads(run(*arguments, "--json").stdout).get("signature", own) == own


def test_signatures_that_differ_are_one_a_predictor(files: dict[str, str], tmp_path: Path) -> None:
    half = tmp_path / "half.jsonl"
    half.write_text("".join(Path(files["sharp"]).read_text().splitlines(keepends=True)[:120]))
    out = run("compare", "--ref", files["ref"], files["blunt"], str(half), "--unpaired").stdout.splitlines()
    assert [line.split()[0] for line in out[-2:]] == ["blunt", "half"]
    arguments = ["compare", "--ref", files["ref"], files["blunt"], str(half), "--unpaired", "--json"]
    found = [p["signature"] for p in json.loads(run(*arguments).stdout)["predictors"]]
    assert found == [line.split()[1] for line in out[-2:]]
    assert all("|ci:loso-95|" in text for text in found)


def test_alignment_is_told_and_signed(files: dict[str, str]) -> None:
    result = run("score", "--ref", files["ref"], "--pred", files["biased"], "--align", "offset")
    assert "|align:offset|" in result.stdout
    assert "each corpus has lost its mean (--align offset)" in result.stderr


def test_score_json(files: dict[str, str]) -> None:
    value = json.loads(run("score", "--ref", files["ref"], "--pred", files["blunt"], "--json", "--ci").stdout)
    assert set(value["utterance"]) == set(value["system"]) == {"mse", "lcc", "srcc", "ktau"}
    assert (value["n_utterances"], value["n_systems"], value["name"]) == (240, 12, "blunt")
    assert value["ceiling"]["system"]["max_lcc"] > value["ceiling"]["utterance"]["max_lcc"]


@pytest.mark.parametrize("style", ["markdown", "latex"])
def test_tables_for_papers(files: dict[str, str], style: str) -> None:
    out = run("score", "--ref", files["ref"], "--pred", files["sharp"], "--format", style).stdout
    assert out.startswith({"markdown": "| level", "latex": r"\begin{tabular}"}[style])


def test_p1401_in_tables_and_json(files: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    asked = ["--ref", files["ref"], "--p1401"]
    out = run("score", *asked, "--pred", files["sharp"], "--mapping", "linear", "--freedom", "1").stdout
    assert "system, n 12" in out
    assert "linear, d = 1" in out
    assert max(len(line) for line in out.splitlines() if not line.startswith("sqa|")) <= 80
    value = json.loads(run("score", *asked, "--pred", files["sharp"], "--json").stdout)["p1401"]
    assert (value["system"]["mapped"]["d"], value["system"]["n"]) == (4, 12)
    result = run("compare", *asked, files["sharp"], files["biased"])
    assert "sharp (a), biased (b)" in result.stdout
    assert "prefer the paired differences" in result.stderr
    value = json.loads(run("compare", *asked, files["sharp"], files["biased"], "--json").stdout)
    assert len(value["p1401"]["tests"]) == 16
    assert run("compare", *asked, files["sharp"], files["biased"], "--unpaired").exit_code == 2


def test_standard_input(files: dict[str, str]) -> None:
    text = Path(files["sharp"]).read_text()
    result = run("score", "--ref", files["ref"], "--pred", "-", stdin=text)
    assert result.stdout == run("score", "--ref", files["ref"], "--pred", files["sharp"]).stdout
    assert run("score", "--ref", "-", "--pred", "-", stdin=text).exit_code == 2


def test_compare_and_rank(files: dict[str, str]) -> None:
    preds = [files["sharp"], f"loud={files['biased']}", files["blunt"]]
    value = json.loads(run("compare", "--ref", files["ref"], *preds, "--json").stdout)
    assert [p["name"] for p in value["predictors"]] == ["sharp", "loud", "blunt"]
    assert len(value["differences"]) == 24
    assert "sharp - loud" in run("compare", "--ref", files["ref"], *preds).stdout
    places = json.loads(run("rank", "--ref", files["ref"], *preds, "--json").stdout)["ranking"]
    assert places[-1]["name"] == "blunt"
    assert run("rank", "--ref", files["ref"], *preds).stdout.splitlines()[0].split()[0] == ("predictor")


def test_notes_name_their_predictor(files: dict[str, str], tmp_path: Path) -> None:
    half = tmp_path / "half.jsonl"
    half.write_text("".join(Path(files["sharp"]).read_text().splitlines(keepends=True)[:120]))
    for command in ("rank", "compare"):
        arguments = [command, "--ref", files["ref"], files["blunt"], str(half)]
        assert run(*arguments).exit_code == 1
        result = run(*arguments, "--allow-missing")
        assert result.exit_code == 0, result.stderr
        assert "half: 120 of 240 utterances scored (120 missing" in result.stderr
        assert "blunt: 120 of 240 utterances scored (0 missing" in result.stderr


def test_the_family_is_named(files: dict[str, str]) -> None:
    preds = ["compare", "--ref", files["ref"], files["sharp"], files["biased"], files["blunt"]]
    assert "p (Holm) is corrected over 3 comparisons × 8 figures" in run(*preds).stderr
    asked = run(*preds, "--baseline", "sharp", "--figure", "srcc")
    assert "over 2 comparisons with sharp in SRCC at the system level" in asked.stderr
    assert "biased - blunt" not in asked.stdout
    value = json.loads(run(*preds, "--baseline", "sharp", "--figure", "srcc", "--json").stdout)
    assert value["family"] == "2 comparisons with sharp in SRCC at the system level"
    assert sum(d["p_holm"] is not None for d in value["differences"]) == 2
    assert "no predictor is called 'sharpe'" in run(*preds, "--baseline", "sharpe").stderr


@pytest.mark.parametrize("option", ["--resamples", "--seed", "--method"])
@pytest.mark.parametrize("command", ["score", "compare", "rank"])
def test_what_the_bootstrap_needed_is_gone(files: dict[str, str], command: str, option: str) -> None:
    preds = ["--pred", files["sharp"]] if command == "score" else [files["sharp"], files["blunt"]]
    result = run(command, "--ref", files["ref"], *preds, option, "5")
    assert result.exit_code == 2
    assert f"{option} is gone: intervals and tests leave out one system at a time" in result.stderr
    assert option not in run(command, "--help").stdout


def test_the_level_heads_its_column(files: dict[str, str]) -> None:
    result = run("rank", "--ref", files["ref"], files["sharp"], files["blunt"], "--level", "0.5")
    assert "50% places" in result.stdout


def test_a_piped_reference_serves_unpaired_predictors(files: dict[str, str]) -> None:
    text = Path(files["ref"]).read_text()
    arguments = ["compare", "--unpaired", files["sharp"], files["blunt"]]
    piped = run(*arguments, "--ref", "-", stdin=text)
    assert piped.exit_code == 0, piped.stderr
    assert piped.stdout == run(*arguments, "--ref", files["ref"]).stdout


@pytest.mark.parametrize("odd", [["--level", "2"], ["", ""], ["x=no.jsonl", "runs/lr=1/no.jsonl"]])
def test_odd_arguments(files: dict[str, str], odd: list[str]) -> None:
    result = run("compare", "--ref", files["ref"], files["sharp"], files["blunt"], *odd)
    assert result.exit_code in (1, 2)
    assert "Error" in result.stderr
    if "runs/lr=1/no.jsonl" in odd:
        assert (
            run("score", "--ref", files["ref"], "--pred", odd[1]).stderr
            == "Error: runs/lr=1/no.jsonl: no such file\n"
        )


def test_names_of_equal_files_are_told_apart(files: dict[str, str], tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mos.jsonl").write_text(Path(files["sharp"]).read_text())
    result = run("rank", "--ref", files["ref"], *map(str, tmp_path.glob("*/mos.jsonl")))
    assert f"{tmp_path}/a/mos" in result.stdout
    assert run("rank", "--ref", files["ref"], f"x={files['sharp']}", f"x={files['blunt']}").exit_code == 2


@pytest.mark.parametrize("program", [main, metrics_main])
def test_errors_are_one_message_and_no_traceback(
    program: object, files: dict[str, str], tmp_path: Path
) -> None:
    part = tmp_path / "part.jsonl"
    part.write_text("".join(Path(files["sharp"]).read_text().splitlines(keepends=True)[:-3]))
    result = CliRunner().invoke(program, ["score", "--ref", files["ref"], "--pred", str(part)])  # type: ignore[arg-type]
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert "3 of 240 ids of" in result.stderr
    assert "system11/utt237" in result.stderr


@pytest.fixture
def sig(tmp_path: Path) -> dict[str, str]:
    texts = {
        "ref": "file,SIG,BAK\nx/a.wav,1,9\nx/b.wav,2,9\nx/c.wav,4,9\n",
        "pred": "sample_id,SIG\na,12.5\nb,37.5\nc,62.5\n",
    }
    for name, text in texts.items():
        (tmp_path / f"{name}.csv").write_text(text)
    return {name: str(tmp_path / f"{name}.csv") for name in texts}


def test_columns_and_scales_by_name(sig: dict[str, str]) -> None:
    asked = [
        "score",
        "--ref",
        sig["ref"],
        "--pred",
        sig["pred"],
        "--columns",
        "mos=SIG,ref:sample_id=file",
        "--json",
    ]
    apart = run(*asked)
    assert json.loads(apart.stdout)["utterance"] == {
        "mse": None,
        "lcc": pytest.approx(0.982, abs=1e-3),
        "srcc": 1,
        "ktau": 1,
    }
    assert "note: other scales? the reference holds 1 to 4, pred 12.5 to 62.5;" in apart.stderr
    mapped = run(*asked, "--scale", "ref:1..5,pred:0..100")
    assert json.loads(mapped.stdout)["utterance"]["mse"] == pytest.approx((0.5**2 + 0.5**2 + 0.5**2) / 3)
    assert mapped.stderr == "note: pred: mapped from 0..100 to the reference's 1..5\n"


@pytest.mark.parametrize(
    ("odd", "code", "message"),
    [
        (["--columns", "mos"], 2, "found 'mos', expected WHAT=NAME, each once"),
        (
            ["--columns", "mos=SIG", "--columns", "mos=BAK"],
            2,
            "found 'mos=BAK', expected WHAT=NAME, each once",
        ),
        (["--columns", "mos=SIGG"], 1, "no metric 'mos' and no column 'SIGG'; found SIG, BAK"),
        (["--columns", "sig=SIG"], 1, "columns: 'sig' is no column that is looked for"),
        (["--scale", "one"], 1, "scale is 'one'; expected LOW..HIGH such as 1..5"),
        ([], 1, "ref.csv: no metric 'mos'; found SIG, BAK (choose with --columns mos=NAME"),
    ],
)
def test_wrong_columns_and_scales(sig: dict[str, str], odd: list[str], code: int, message: str) -> None:
    named = ["--columns", "mos=SIG"] if "--scale" in odd else []
    result = run("score", "--ref", sig["ref"], "--pred", sig["pred"], *named, *odd)
    assert result.exit_code == code
    assert message in " ".join(result.stderr.split())


def test_help_shows_examples_of_the_program_asked() -> None:
    assert "sqa-cli score --ref" in run("score", "--help").stdout
    assert (
        "sqa-metrics score --ref"
        in CliRunner().invoke(metrics_main, ["score", "--help"], prog_name="sqa-metrics").stdout
    )


def test_every_command_of_the_table_exists() -> None:
    for name in COMMANDS:
        assert run(name, "--help").exit_code == 0, name


@pytest.mark.parametrize(
    "arguments", [["--help"], ["score", "--help"], ["score", "--ref", "{ref}", "--pred", "{sharp}"]]
)
def test_score_imports_nothing_heavy(arguments: list[str], files: dict[str, str]) -> None:
    code = (
        "import sys, runpy; sys.argv = ['sqa-cli', *sys.argv[1:]]\n"
        "try: runpy.run_module('sqa_cli', run_name='__main__')\n"
        "except SystemExit: pass\n"
        "print([m for m in ('torch', 'numpy', 'numba', 'scipy', 'pyarrow', 'rich') if m in sys.modules])"
    )
    command = [sys.executable, "-c", code, *(a.format(**files) for a in arguments)]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert out.splitlines()[-1] == "[]"


def test_options_without_an_effect_are_refused(files: dict[str, str]) -> None:
    score, both = ["score", "--ref", files["ref"], "--pred", files["sharp"]], [files["sharp"], files["blunt"]]
    for arguments, told in (
        ([*score, "--level", "0.9"], "--level is of intervals; it goes with --ci"),
        ([*score, "--json", "--format", "latex"], "--format is of tables; leave it out with --json"),
        (
            ["compare", "--ref", files["ref"], *both, "--unpaired", "--allow-missing"],
            "--allow-missing is of the same utterances",
        ),
    ):
        found = run(*arguments)
        assert (found.exit_code, told in found.stderr) == (2, True)


@pytest.fixture
def ccr(files: dict[str, str], tmp_path: Path) -> str:
    """Comparisons of the reference's own clips."""
    rows = [json.loads(line) for line in Path(files["ref"]).read_text().splitlines()]
    pairs = [
        {
            "a": a["sample_id"],
            "b": b["sample_id"],
            "metrics": {"cmos": a["metrics"]["mos"] - b["metrics"]["mos"]},
        }
        | {"system_a": a["system_id"], "system_b": b["system_id"]}
        for k, a in enumerate(rows)
        for b in rows[k + 20 :: 60]
    ]
    path = tmp_path / "ccr.jsonl"
    path.write_text("\n".join(map(json.dumps, pairs)))
    return str(path)


def test_rank_by_clips_and_pairs(files: dict[str, str], ccr: str, tmp_path: Path) -> None:
    asked = ["rank", "--ref", files["ref"], "--pairs-ref", ccr, files["sharp"], files["blunt"]]
    result = run(*asked)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.split()[:3] == ["predictor", "n", "pairs"]
    assert "VoiceMOS 2026 publishes none" in result.stderr
    assert "note: pairs by the difference of scores: sharp, blunt" in result.stderr
    own = result.stdout.splitlines()[-1]
    assert "|pairs:" in own
    assert run(*asked, "--verify-signature", own).exit_code == 0
    value = json.loads(run(*asked, "--json").stdout)
    assert value["pairs_ref"] == ccr
    best, last = value["ranking"]
    assert (best["name"], len(best["ranks"]), set(best["figures"])) == (
        "sharp",
        18,
        {"utterance", "system", "pair", "system_pair"},
    )
    # blunt hears pairs as listeners do
    answers = tmp_path / "answers.jsonl"
    answers.write_text(Path(ccr).read_text())
    turned = json.loads(run(*asked, "--pairs-pred", f"blunt={answers}", "--json").stdout)["ranking"]
    blunt = next(place for place in turned if place["name"] == "blunt")
    assert blunt["figures"]["pair"]["mse"] == 0
    assert last["figures"]["pair"]["mse"] > 0
    piped = run("rank", "--ref", files["ref"], "--pairs-ref", ccr, "sharp=-", files["blunt"],
                stdin=Path(files["sharp"]).read_text())  # fmt: skip
    assert piped.stdout == result.stdout


@pytest.mark.parametrize(
    ("odd", "message"),
    [
        (["--align", "offset"], "--align is of single clips; leave it out with --pairs-ref"),
        (["--allow-missing"], "--allow-missing is of single clips"),
        (["--pairs-pred", "bunt=x"], "no predictor is called 'bunt'; expected one of sharp, blunt"),
        (["--scale", "ref:1..5,pred:0..100"], "--scale maps scores of clips"),
        (["--utt2sys", "-"], "--utt2sys is read twice"),
        (["--pairs-pred", "blunt=-", "--pairs-pred", "sharp=-"], "only one of the files"),
    ],
)
def test_what_does_not_go_with_pairs(files: dict[str, str], ccr: str, odd: list[str], message: str) -> None:
    asked = ["rank", "--ref", files["ref"], files["sharp"], files["blunt"], *odd]
    result = run(*asked, "--pairs-ref", ccr)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
    if "--pairs-pred" in odd:
        assert "--pairs-pred goes with --pairs-ref" in run(*asked).stderr


def floats(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Option]]:
    """Every option of `command` and of the commands below it whose value is a float."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from floats(below, (*path, name))
    for parameter in command.params:
        if isinstance(parameter.type, click.types.FloatParamType):
            yield " ".join(path), parameter  # type: ignore[misc]


@pytest.mark.parametrize("program", [main, metrics_main])
def test_no_float_option_takes_what_is_not_finite(program: click.Group) -> None:
    found = list(floats(program))
    assert {("pairs", "--epsilon"), ("plan", "--power")} <= {(name, o.opts[0]) for name, o in found}
    for name, parameter in found:
        for value in ("nan", "inf", "-inf"):
            with pytest.raises(click.BadParameter, match=r"not a finite number|not in the range"):
                parameter.type.convert(value, parameter, None)
            assert isinstance(parameter.type, FloatRange | Number), (name, parameter.opts)


@pytest.mark.parametrize("option", [("--mapping", "linear"), ("--freedom", "2")])
def test_options_of_p1401_are_not_dropped_in_silence(files: dict[str, str], option: tuple[str, str]) -> None:
    ref, sharp = files["ref"], files["sharp"]
    for arguments in (
        ["score", "--ref", ref, "--pred", sharp],
        ["compare", "--ref", ref, sharp, sharp + "2"],
    ):
        found = run(*arguments, *option)
        assert found.exit_code == 2
        assert f"{option[0]} goes with --p1401" in found.stderr
