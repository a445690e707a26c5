"""The programs at a terminal: closed and full streams, ids that would move the cursor, tables that fit."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqa_metrics.cli import main

posix = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a POSIX shell and /dev/full")


def shell(arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = f"{shlex.quote(sys.executable)} -c 'from sqa_metrics.cli import main; main()' {arguments}"
    return subprocess.run(
        command, shell=True, capture_output=True, text=True, encoding="utf-8", env=os.environ | environment
    )


@pytest.fixture
def score(root: Path) -> str:
    folder = root / "examples" / "scores"
    return f"score --ref {folder}/ref.jsonl --pred {folder}/sharp.jsonl"


@posix
def test_closed_and_full_streams(score: str) -> None:
    usual = shell(f"{score} --ci")
    assert "note: utterance level, perfect predictor" in usual.stderr
    assert shell(f"{score} --ci 2>&-").stdout == usual.stdout
    assert shell(f"{score} --ci 2>/dev/full").stdout == usual.stdout
    for redirection in ("> /dev/full", ">&-"):
        done = shell(f"{score} {redirection}")
        assert done.returncode == 1
        assert done.stderr.startswith("Error: standard output: ")
        assert done.stderr.count("\n") == 1
    assert shell("score --ref nowhere --pred nowhere 2>&-").returncode == 1


def test_without_the_compiler(score: str) -> None:
    done = shell(f"{score} --ci --json", NUMBA_DISABLE_JIT="1")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["n_systems"] == 12


def widest(output: str) -> int:
    """Of the lines but the signature, which is one word, to be quoted whole."""
    return max(len(line) for line in output.splitlines() if not line.startswith("sqa|"))


def test_tables_fit_the_terminal(score: str) -> None:
    narrow, wide = (shell(f"{score} --ci", COLUMNS=columns).stdout for columns in ("80", "200"))
    assert widest(narrow) <= 80 < widest(wide)
    assert narrow.count("[") == wide.count("[") == 8
    names = " ".join(f"{'long' * 8}{k}={score.split()[4]}" for k in range(2))
    ref = score.split()[2]
    for command in ("rank", "compare"):
        out = shell(f"{command} --ref {ref} {names}", COLUMNS="80").stdout
        assert out
        assert widest(out) <= 80


def test_ids_are_shown_and_not_obeyed(tmp_path: Path) -> None:
    row = {"sample_id": "a\x1b[31m", "system_id": "s\x1b[2J", "corpus": "c\x07", "mos": 3.5}
    ref, pred = tmp_path / "ref.jsonl", tmp_path / "pred.jsonl"
    ref.write_text(
        "\n".join(json.dumps(row | {"sample_id": f"u{k}", "corpus": f"c\x07{k % 2}"}) for k in range(4))
    )
    pred.write_text(ref.read_text().replace('"u3"', '"\\u001b[31m"'))
    for arguments in (
        ["score", "--ref", ref, "--pred", ref],
        ["score", "--ref", ref, "--pred", pred],
        ["rank", "--ref", ref, f"a\x1b[1m={ref}", f"b={ref}"],
    ):
        result = CliRunner().invoke(main, list(map(str, arguments)))
        assert "\x1b" not in result.output
        assert "\x07" not in result.output
        assert "\\x1b" in result.output


@posix
def test_names_of_files_that_are_not_utf8(score: str, tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.jsonl")
    try:
        (tmp_path / name).write_bytes(Path(score.split()[4]).read_bytes())
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    ref, sharp = score.split()[2], score.split()[4]
    code = "from sqa_metrics.cli import main; main()"
    for more in ([], ["--json"]):
        arguments = ["rank", "--ref", ref, str(tmp_path / name), sharp, *more]
        done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True)
        assert done.returncode == 0, done.stderr
        assert b"\\udce9" in done.stdout
