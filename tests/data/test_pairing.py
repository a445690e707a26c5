"""Pairs of single clips: which there are, against all of them one by one; how they are drawn."""

import itertools
import json
import math
import random
import tracemalloc
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqa_metrics
from commands import run
from sqa_data import DataError, Utterance, write_manifest
from sqa_data.pairing import Drawn, distinct, draw_pairs
from sqa_data.pairs import Pair, iter_pairs, write_pairs


def clips(n: int, seed: int = 0, corpora: str = "xy", step: float = 0.1) -> list[Utterance]:
    """Rated clips, many of them as high as others; a tenth has no label."""
    rng = random.Random(seed)
    return [
        Utterance(
            f"/{i}.wav",
            f"u{i}",
            1.0,
            {} if rng.random() < 0.1 else {"mos": round(1 + step * rng.randrange(round(4 / step) + 1), 6)},
            f"s{rng.randrange(3)}",
            corpora[rng.randrange(len(corpora))],
            ("train", "dev")[rng.random() < 0.2],
            extra={"reference_id": f"r{rng.randrange(4)}"},
        )
        for i in range(n)
    ]


def manifest(folder: Path, rows: list[Utterance]) -> Path:
    write_manifest(folder / "data.jsonl", rows)
    return folder / "data.jsonl"


def drawn(folder: Path, rows: list[Utterance], **how: Any) -> tuple[Drawn, list[Pair]]:
    found = draw_pairs([manifest(folder, rows)], **how)
    pairs = list(found.pairs)
    assert found.count == len(pairs) == sum(found.outcomes.values())
    return found, pairs


def all_pairs(rows: list[Utterance], within: str, margin: float) -> set[frozenset[str]]:
    """By the definition, one by one, in decimals."""
    found = set()
    for one, other in itertools.combinations([row for row in rows if row.metrics], 2):
        together = {
            "any": True,
            "corpus": (one.corpus, one.split) == (other.corpus, other.split),
            "reference": (one.corpus, one.split, one.extra) == (other.corpus, other.split, other.extra),
        }[within]
        apart = abs(round(1e6 * one.metrics["mos"]) - round(1e6 * other.metrics["mos"]))
        if together and apart >= round(1e6 * margin):
            found.add(frozenset((one.sample_id, other.sample_id)))
    return found


@pytest.mark.parametrize("within", ["corpus", "reference", "any"])
@pytest.mark.parametrize("margin", [0, 0.1, 0.5, 2, 3.95])
@pytest.mark.parametrize("balance", [(), ("outcome",)])
def test_the_pairs_are_all_that_there_are(
    within: str, margin: float, balance: tuple[str, ...], tmp_path: Path
) -> None:
    for seed in range(4):
        rows = clips(40, seed, step=(0.1, 1.0)[seed % 2])
        expected = all_pairs(rows, within, margin)
        if not expected:
            with pytest.raises(DataError, match="hold no two of"):
                drawn(tmp_path, rows, within=within, margin=margin)
            continue
        found, pairs = drawn(tmp_path, rows, within=within, margin=margin, balance=balance)
        assert found.possible == len(expected)
        assert Counter(frozenset((pair.a, pair.b)) for pair in pairs) == Counter(expected)
        assert found.clips + found.unlabelled == len(rows)
        mos = {row.sample_id: row.metrics.get("mos") for row in rows}
        for pair in pairs:
            assert pair.cmos == pytest.approx(np.clip(mos[pair.a] - mos[pair.b], -3, 3), abs=1e-9)  # type: ignore[operator]
        assert found.clamped == sum(abs(mos[p.a] - mos[p.b]) > 3 + 1e-9 for p in pairs)  # type: ignore[operator]


def test_a_margin_is_one_of_decimals(tmp_path: Path) -> None:
    """3.3 - 3.1 and 2.2 - 2 are below .2 in binary numbers, and are .2; 1.3 - 1.1000004 is none."""
    scores = {"a": 3.3, "b": 3.1, "c": 2.2, "d": 2.0}
    rows = [Utterance(f"/{name}", name, 1.0, {"mos": mos}, corpus="x") for name, mos in scores.items()]
    found, pairs = drawn(tmp_path, rows, margin=0.2)
    assert (found.possible, {abs(p.cmos or 0) for p in pairs if {p.a, p.b} in ({"a", "b"}, {"c", "d"})}) == (
        6,
        {0.2},
    )
    close = [replace(rows[0], metrics={"mos": 1.3}), replace(rows[1], metrics={"mos": 1.1000004})]
    assert drawn(tmp_path, close, margin=0.2)[0].possible == 1  # a millionth is not told apart
    with pytest.raises(
        DataError, match=r"2 clips in 1 groups hold no two of .* whose mos differs by 0\.2 or more"
    ):
        drawn(tmp_path, [close[0], replace(close[1], metrics={"mos": 1.100001})], margin=0.2)


def test_a_draw_is_the_same_for_its_seed_alone(tmp_path: Path) -> None:
    """Whatever the order of the clips, and the files that they lie in."""
    rows = clips(60, 3)
    _, pairs = drawn(tmp_path, rows, n=50, seed=7)
    shuffled = random.Random(1).sample(rows, len(rows))
    assert drawn(tmp_path, shuffled, n=50, seed=7)[1] == pairs
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    parts = [manifest(tmp_path / "a", shuffled[:20]), manifest(tmp_path / "b", shuffled[20:])]
    assert list(draw_pairs(parts, n=50, seed=7).pairs) == pairs
    assert drawn(tmp_path, rows, n=50, seed=8)[1] != pairs


@pytest.mark.parametrize(("n", "share", "count"), [(17, None, 17), (None, 0.25, None), (10**6, None, None)])
def test_no_pair_comes_twice(n: int | None, share: float | None, count: int | None, tmp_path: Path) -> None:
    found, pairs = drawn(tmp_path, clips(60, 4), n=n, share=share)
    assert len({frozenset((pair.a, pair.b)) for pair in pairs}) == len(pairs)
    assert len(pairs) == count or round((share or 1) * found.possible)
    write_pairs(tmp_path / "pairs.jsonl", pairs)
    assert [pair for _, pair in iter_pairs(tmp_path / "pairs.jsonl")] == pairs
    # what judges pairs refuses one that comes twice, in whichever order
    assert len(sqa_metrics.read_pairs(tmp_path / "pairs.jsonl")) == len(pairs)


def test_the_better_clip_is_first_in_every_second_pair(tmp_path: Path) -> None:
    for n in (100, 101):
        _, pairs = drawn(tmp_path, clips(80, 5), n=n, margin=0.5)
        signs = [pair.cmos > 0 for pair in pairs]  # type: ignore[operator]
        assert abs(2 * sum(signs) - n) <= 1
        # and not in turn
        assert any(one == other for one, other in itertools.pairwise(signs))


@pytest.mark.parametrize("tie", [0.5, 0.25, 0, 2])
def test_outcomes_are_balanced(tie: float, tmp_path: Path) -> None:
    rows = clips(200, 6)
    for n in (300, 301, 302):
        found, pairs = drawn(tmp_path, rows, n=n, balance=["outcome"], tie=tie)
        counts = Counter(
            "tie" if abs(p.cmos) < max(tie, 1e-9) else "a" if p.cmos > 0 else "b"  # type: ignore[operator, arg-type]
            for p in pairs
        )
        assert counts == found.outcomes
        assert max(counts.values()) - min(counts.values()) <= 1
    plain = drawn(tmp_path, rows, n=3000)[0].outcomes
    assert plain["tie"] < plain["a"]  # of ties there are fewer


def test_what_there_is_too_little_of_is_made_up_for(tmp_path: Path) -> None:
    rows = [Utterance(f"/{i}", f"u{i}", 1.0, {"mos": 1.0 + i / 2}, corpus="x") for i in range(9)]
    found, _ = drawn(tmp_path, rows, n=30, balance=["outcome"], tie=0.6)
    assert found.outcomes == {"a": 11, "b": 11, "tie": 8}
    assert drawn(tmp_path, rows, n=30, balance=["outcome"], tie=0.6, margin=0.6)[0].outcomes["tie"] == 0


def test_corpora_are_balanced(tmp_path: Path) -> None:
    rows = clips(90, 7, corpora="x") + [
        replace(clip, sample_id=f"{clip.sample_id}y", corpus=corpus)
        for corpus, n in (("y", 30), ("z", 6))
        for clip in clips(n, 8, corpora="x")
    ]
    there = len(all_pairs([row for row in rows if row.corpus == "z"], "corpus", 0))
    for balance in (["corpus"], ["corpus", "outcome"]):
        found, pairs = drawn(tmp_path, rows, n=150, balance=balance)
        counts = Counter(pair.corpus for pair in pairs)
        assert counts["z"] == min(there, 50)
        assert abs(counts["x"] - counts["y"]) <= 1
        assert found.count == 150
    plain = Counter(pair.corpus for pair in drawn(tmp_path, rows, n=150)[1])
    assert plain["z"] < 5
    with pytest.raises(DataError, match="belong to no corpus"):
        drawn(tmp_path, rows, within="any", balance=["corpus"])


@pytest.mark.parametrize(("count", "n", "draws"), [(7, 3, 3500), (40, 2, 7800)], ids=["dense", "sparse"])
def test_draws_of_numbers_are_uniform(count: int, n: int, draws: int) -> None:
    """Each set as often as any other, and each number as often the first."""
    rng = np.random.default_rng(0)
    found = [tuple(distinct(count, n, rng).tolist()) for _ in range(draws)]
    assert all(len(set(some)) == n and 0 <= min(some) <= max(some) < count for some in found)
    for seen, kinds in (
        (Counter(map(frozenset, found)), math.comb(count, n)),
        (Counter(some[0] for some in found), count),
    ):
        expected = draws / kinds
        chi2 = sum((times - expected) ** 2 / expected for times in seen.values())
        chi2 += (kinds - len(seen)) * expected
        assert abs(chi2 - (kinds - 1)) < 4 * math.sqrt(2 * kinds)


def test_draws_of_numbers_at_their_ends() -> None:
    rng = np.random.default_rng(0)
    assert sorted(distinct(5, 5, rng).tolist()) == [0, 1, 2, 3, 4]
    assert distinct(0, 0, rng).tolist() == []
    assert len(set(distinct(10**13, 1000, rng).tolist())) == 1000


def test_memory_does_not_grow_with_the_pairs_that_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = clips(30_000, 9, corpora="x", step=0.01)
    monkeypatch.setattr("sqa_data.pairing.merged", lambda manifests: iter(rows))
    tracemalloc.start()
    found = draw_pairs([], n=1000, balance=["outcome"])
    assert len(list(found.pairs)) == 1000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.possible > 2e8
    assert peak < 40e6


# --- clips of one reference --------------------------------------------------------------------------------------


def test_the_row_comes_before_the_rule_of_its_corpus(tmp_path: Path) -> None:
    """And the rungs of one ladder of `data degrade` are of one reference."""
    base = Utterance("/a", "a", 1.0, {"mos": 2.0}, "s", "degraded", "train")
    rows = [
        replace(base, sample_id=f"{ladder}-{i}", metrics={"mos": 1.0 + i}, extra={"ladder": ladder})
        for ladder in "pq"
        for i in range(3)
    ]
    _, pairs = drawn(tmp_path, rows, within="reference")
    assert {frozenset((p.a[0], p.b[0])) for p in pairs} == {frozenset("p"), frozenset("q")}
    assert len(pairs) == 6
    with pytest.raises(
        DataError, match="'a' of degraded: its reference is not known; expected the key reference_id"
    ):
        drawn(tmp_path, [base], within="reference")


# --- what is refused ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"scales": {"mos": (0, 100)}}, "'u0': mos has another scale than 1 to 5.*--rescale mos` maps it"),
        ({"metrics": {"mos": 7.0}}, "'u0': mos is 7; expected 1 to 5"),
    ],
)
def test_labels_that_no_cmos_is_made_of(change: dict[str, Any], told: str, tmp_path: Path) -> None:
    rows = [Utterance(f"/{i}", f"u{i}", 1.0, {"mos": 2.0 + i}, corpus="x") for i in range(3)]
    with pytest.raises(DataError, match=told):
        drawn(tmp_path, [replace(rows[0], **change), *rows[1:]])
    for label in ("pesq", "sdr", "mine"):
        other = [replace(row, metrics={label: 2.0}) for row in rows]
        with pytest.raises(DataError, match=f"{label} has another scale than 1 to 5"):
            drawn(tmp_path, other, label=label)
    for label in ("utmos", "mos_sig", "mos_overall"):
        other = [replace(row, metrics={label: 2.0 + i}) for i, row in enumerate(rows)]
        assert drawn(tmp_path, other, label=label)[0].possible == 3
    with pytest.raises(DataError, match="0 clips have the label utmos; expected at least two"):
        drawn(tmp_path, rows, label="utmos")


def test_clips_of_two_corpora_need_names_of_their_own(tmp_path: Path) -> None:
    one = Utterance("/1", "u", 1.0, {"mos": 2.0}, corpus="x")
    other = Utterance("/2", "u", 1.0, {"mos": 3.0}, corpus="y")
    with pytest.raises(DataError, match="sample_id 'u' is in x and in y; a pair of clips of two corpora"):
        drawn(tmp_path, [one, other], within="any")
    (pair,) = drawn(tmp_path, [one, replace(other, sample_id="v")], within="any")[1]
    assert pair.corpus is None
    (pair,) = drawn(tmp_path, [one, replace(other, sample_id="v", corpus="x")], within="any")[1]
    assert pair.corpus == "x"


# --- the command -------------------------------------------------------------------------------------------------


def test_the_command(tmp_path: Path) -> None:
    data, out = manifest(tmp_path, clips(60, 10)), tmp_path / "pairs.jsonl"
    told = run("data", "pairs", data, "--out", out, "-n", 10**6, "--margin", 0.3)
    record = json.loads(
        run("data", "pairs", data, "--out", tmp_path / "again.jsonl", "--margin", 0.3, "--json").splitlines()[
            -1
        ]
    )
    assert out.read_bytes() == (tmp_path / "again.jsonl").read_bytes()
    assert (
        f"{out}: {record['count']:,} of {record['possible']:,} pairs of {record['clips']} clips; a is better in"
        in told
    )
    assert f"{record['unlabelled']} clips without mos are left out" in told
    assert f"{record['clamped']:,} differences are beyond the scale of CMOS" in told
    assert f"1,000,000 were asked for; there are {record['possible']:,}" in told
    assert "not both" in run("data", "pairs", data, "--out", out, "-n", 3, "--share", 0.5, code=2)
    # a predictor of the clips is judged by them
    run("pairs", "--ref", out, "--pred", manifest(tmp_path, [c for c in clips(60, 10) if c.metrics]))


@pytest.mark.parametrize("within", ["corpus", "any"])
def test_training_reads_what_it_makes(within: str, tmp_path: Path) -> None:
    """Every pair is found again, with its difference, also where its clips are of two corpora."""
    from sqa_model.training.clips import Rows, read_rows
    from sqa_model.training.pairs import read_pairs

    data, out = manifest(tmp_path, clips(60, 11)), tmp_path / "pairs.jsonl"
    run("data", "pairs", data, "--out", out, "-n", 200, "--within", within, "--balance", "outcome")
    rows = read_rows([str(data)], "data.train")
    table, pairs, _ = read_pairs([str(out)], rows, Rows([], []), "data.pairs")
    assert (len(pairs), len(table)) == (200, len(rows))
    mos = np.array([row.metrics.get("mos", np.nan) for row in table.utterances])
    assert pairs.cmos == pytest.approx(np.clip(mos[pairs.a] - mos[pairs.b], -3, 3), abs=1e-6)
