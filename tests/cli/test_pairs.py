"""`pairs` at the terminal: from both programs, tables, JSON, notes, and orders that are wrong."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from commands import run
from sqa_metrics.cli import main


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path, Path]:
    """Pairs of 6 systems, scores of their clips, and the system of each clip."""
    clips = [(i, k) for i in range(6) for k in range(4)]
    pairs = [
        {"a": f"s{i}u{k}", "b": f"s{j}u{k}", "metrics": {"cmos": (i - j + (k - 1) / 4) / 3}}
        for i, k in clips
        for j in range(i)
    ]
    ref, pred, utt2sys = tmp_path / "ccr.jsonl", tmp_path / "ours.scp", tmp_path / "utt2sys"
    ref.write_text("\n".join(map(json.dumps, pairs)))
    pred.write_text("\n".join(f"s{i}u{k} {1 + i / 2 + (i * k % 5) / 9}" for i, k in clips))
    utt2sys.write_text("\n".join(f"s{i}u{k} s{i}" for i, k in clips))
    return ref, pred, utt2sys


def test_both_programs_print_the_same(files: tuple[Path, Path, Path]) -> None:
    ref, pred, utt2sys = files
    arguments = ["pairs", "--ref", str(ref), "--pred", str(pred), "--utt2sys", str(utt2sys)]
    text = run(*arguments)
    assert "system pairs, n 15" in text
    assert "leaving out one of 6 systems at a time" in text
    assert CliRunner().invoke(main, arguments).output == text


def test_json_has_all(files: tuple[Path, Path, Path]) -> None:
    ref, pred, utt2sys = files
    common = ("--ref", ref, "--utt2sys", utt2sys, "--strengths", "--json")
    result = CliRunner().invoke(main, [str(a) for a in ("pairs", *common, "--pred", pred)])
    told = json.loads(result.stdout)
    assert (told["name"], told["n_pairs"], told["absent"].keys()) == ("ours", 60, {"auc", "accuracy_apart"})
    assert told["strengths"]["systems"][0]["system"] == "s5"
    alone = json.loads(CliRunner().invoke(main, [str(a) for a in ("pairs", *common)]).stdout)
    assert alone["systems"] == told["strengths"]["systems"]
    assert alone["half_wins_added"]


def test_systems_of_a_manifest(files: tuple[Path, Path, Path], tmp_path: Path) -> None:
    ref, pred, utt2sys = files
    manifest = tmp_path / "data.jsonl"
    rows = [line.split() for line in utt2sys.read_text().splitlines()]
    manifest.write_text("\n".join(json.dumps({"sample_id": u, "system_id": s}) for u, s in rows))
    one, two = (
        run("pairs", "--ref", ref, "--pred", pred, "--utt2sys", names) for names in (utt2sys, manifest)
    )
    assert one == two


def test_a_quoted_signature_is_checked(files: tuple[Path, Path, Path]) -> None:
    ref, pred, utt2sys = files
    order = ("pairs", "--ref", ref, "--pred", pred, "--utt2sys", utt2sys)
    (own,) = (text for text in run(*order).splitlines() if text.startswith("sqa|"))
    assert "|metric:cmos|level:pair+sys|eps:0/0|cov:60/60|sys:6|ci:loso-95|ref:" in own
    run(*order, "--verify-signature", own)
    text = run(*order, "--epsilon", 0.1, "--verify-signature", own, code=1)
    assert "eps 0.1/0 here, 0/0 quoted (other ties (epsilon))" in text
    # turned pairs in another order are the same reference
    rows = [json.loads(line) for line in reversed(ref.read_text().splitlines())]
    turned = [{"a": r["b"], "b": r["a"], "metrics": {"cmos": -r["metrics"]["cmos"]}} for r in rows]
    ref.write_text("\n".join(map(json.dumps, turned)))
    run(*order, "--verify-signature", own)
    turned[0]["metrics"]["cmos"] += 0.5
    ref.write_text("\n".join(map(json.dumps, turned)))
    assert "(other ids or scores in the reference)" in run(*order, "--verify-signature", own, code=1)


def test_wrong_orders(files: tuple[Path, Path, Path]) -> None:
    ref, pred, _ = files
    assert "expected --pred FILE, --strengths, or both" in run("pairs", "--ref", ref, code=2)
    for option in (["--verify-signature", "x"], ["--epsilon", 1], ["--allow-missing"], ["--acr-ref", pred]):
        text = run("pairs", "--ref", ref, "--strengths", *option, code=2)
        assert f"{option[0]} is of predictions; strengths alone have none" in text
    assert "go together" in run("pairs", "--ref", ref, "--pred", pred, "--acr-ref", pred, code=1)
    assert "only one of the files" in run("pairs", "--ref", "-", "--pred", "-", code=2)
    assert "no comparison of two systems" in run("pairs", "--ref", ref, "--strengths", code=1)
    pred.write_text("\n".join(pred.read_text().splitlines()[1:]))
    assert "does not cover" in run("pairs", "--ref", ref, "--pred", pred, code=1)
    assert "55 of 60 pairs judged (5 missing" in run("pairs", "--ref", ref, "--pred", pred, "--allow-missing")
