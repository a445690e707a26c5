"""From tables to the columns of judging: what belongs together, on both roads, and in tables of other toolkits."""

import io
from pathlib import Path

import pytest
from sqa_metrics import MetricsError, pair, read_scores, score


def table(header: str, *rows: str) -> io.BytesIO:
    return io.BytesIO("\n".join([header, *rows]).encode())


def test_spread_belongs_to_the_scores_beside_it() -> None:
    header, row = "sample_id,n votes,MOS_SIG,std_sig,MOS_OVRL,std_ovrl", "a,4,2,0.5,3,1"
    assert read_scores(table(header, row)).std == [1.0]
    assert read_scores(table(header, row), columns={"mos": "MOS_SIG"}).std == [0.5]
    assert read_scores(table(header, row)).votes == [4.0]
    assert read_scores(table("sample_id,votes,noi,mos_std", "a,4,2,1"), "noi").std is None
    assert read_scores(table("sample_id,votes,noi,noi_std", "a,4,2,1"), "noi").std == [1.0]
    assert read_scores(table("sample_id,SIG,mos,mos_std", "a,4,2,1"), columns={"mos": "SIG"}).std is None


def test_the_compiled_road_reads_other_names_as_the_plain_one_does(road: str) -> None:
    rows = [
        f'{{"sample_id": "u{k}", "condition": "s{k % 3}", "mos_sd": 0.5, "n_votes": 4, "x": 1, '
        f'"metrics": {{"mos": {1 + k % 4}}}}}'
        for k in range(12)
    ]
    file = "\n".join(rows).encode()
    paired = pair(io.BytesIO(file), {"p": io.BytesIO(file)})
    assert [s for _, s in paired.systems] == ["s0", "s1", "s2"]
    assert list(paired.noise or []) == [0.0625] * 12
    note = "<file>: read system_id from 'condition', votes from 'n_votes', mos_std from 'mos_sd'"
    assert paired.notes == (note, note)
    single = "".join(
        f'{{"sample_id": "u{k // 2}", "subject": "{k % 2}", "metrics": {{"mos": {k}}}}}\n' for k in range(8)
    )
    pred = "".join(f'{{"sample_id": "u{k}", "metrics": {{"mos": {k}}}}}\n' for k in range(4))
    report = score(io.BytesIO(single.encode()), io.BytesIO(pred.encode()))
    assert report.n_utterances == 4


def test_ratings_of_other_labels_are_not_read() -> None:
    rows = [
        f'{{"sample_id": "{u}", "listener_id": "{who}", "label": "{label}", "rating": {v}}}\n'
        for u, who, label, v in [
            ("a", "x", "mos", 1),
            ("a", "x", "sig", 5),
            ("a", "y", "mos", 2),
            ("a", "y", "bak", 5),
        ]
    ]
    file = "".join(rows).encode()
    scores = read_scores(io.BytesIO(file))
    assert (scores.value, scores.votes) == ([1.5], [2.0])
    assert scores.notes == ("<file>: 2 ratings of other labels (bak, sig) are not read",)
    assert read_scores(io.BytesIO(file), "sig").value == [5.0]
    with pytest.raises(MetricsError, match="no metric 'noi'; found bak, mos, sig"):
        read_scores(io.BytesIO(file), "noi")


def test_tables_of_other_toolkits(shared: Path) -> None:
    labels = shared / "data" / "labels"
    for name, n in [
        ("NISQA_corpus_mos.csv", None),
        ("vmc24_track3_listener_wise.csv", None),
        ("hablamos_train.csv", None),
    ]:
        scores = read_scores(labels / name, role="ref")
        assert len(scores) > 50, (name, n)
        assert all(1 <= v <= 5 for v in scores.value)
    with pytest.raises(
        MetricsError, match=r"no column for sample_id; found systems, SIG, BAK, OVR.*--columns sample_id="
    ):
        read_scores(labels / "vmc24_track3_answer.csv")
    named = read_scores(labels / "vmc24_track3_answer.csv", columns={"sample_id": "systems", "mos": "SIG"})
    assert (named.sample_id[0], named.value[0]) == ("p232_sys1_005", 3.75)
    p835 = read_scores(shared / "data" / "p835" / "labels.csv", role="ref", columns={"mos": "MOS_OVRL"})
    assert (p835.sample_id[0], p835.votes and p835.votes[0]) == ("c0_f2", 14.0)
    assert p835.std
    assert p835.std[0] == pytest.approx(0.646206172658864)
