"""Joining pairs: order, coverage, clips in place of pairs, and systems from wherever they are named."""

import io

import pytest
from sqa_metrics import MetricsError, PairedPairs, join_pairs, read_pairs
from sqa_metrics.pairs.join import require_pairs, split_tracks
from sqa_metrics.pairs.rows import Pairs
from sqa_metrics.rows.records import Scores

REF = "a,b,cmos\nu1,u2,1\nu2,u3,-1\nu3,u1,0\n"


def read(text: str, name: str) -> Pairs | Scores:
    file = io.BytesIO(text.encode())
    file.name = name
    return read_pairs(file)


def joined(ref: str, pred: str, **options: object) -> PairedPairs:
    return join_pairs(require_pairs(read(ref, "ref")), read(pred, "pred"), **options)  # type: ignore[arg-type]


def test_a_turned_pair_turns_its_sign() -> None:
    found = joined(REF, "a,b,cmos\nu1,u3,-0.5\nu2,u1,-0.75\nu2,u3,-2\n")
    assert found.ref.tolist() == [1, -1, 0]
    assert found.pred.tolist() == [0.75, -2, 0.5]
    assert found.coverage.complete


def test_the_first_clip_is_the_one_that_is_called_a() -> None:
    pred = "a,b,cmos\nu1,u2,0.5\nu2,u3,0.25\nu3,u1,-1\n"
    turned = [text.replace("a,b,", "b,a,") for text in (REF, pred)]
    one, other = joined(REF, pred), joined(*turned)
    assert (other.ref.tolist(), other.pred.tolist()) == (one.ref.tolist(), one.pred.tolist())
    mixed = joined(REF, turned[1])
    assert mixed.pred.tolist() == (-one.pred).tolist()


def test_clips_stand_for_pairs_by_their_difference() -> None:
    found = joined(REF, "u1 3\nu2 2.5\nu3 4\nu9 1\n")
    assert found.pred.tolist() == [0.5, -1.5, 1.0]
    assert found.notes == ("pred: 1 of 4 clips are in no pair",)


def test_pairs_with_ids_of_their_own() -> None:
    ref = "sample_id,audio_a,audio_b,cmos\nccr_0,u1.wav,u2.wav,1\nccr_1,u3.wav,u1.wav,-2\n"
    assert joined(ref, "ccr_1,0.5\nccr_0,0.25\n").pred.tolist() == [0.25, 0.5]
    # both say which clip is first
    pred = "sample_id,audio_a,audio_b,cmos\nccr_0,u2.wav,u1.wav,1\nccr_1,u3.wav,u1.wav,-2\n"
    assert joined(ref, pred).pred.tolist() == [-1, -2]
    # by clips where the other table has no ids of pairs, or ids of clips alone
    assert joined(ref, "a,b,cmos\nu2,u1,1\nu3,u1,2\n").pred.tolist() == [-1, 2]
    assert joined(ref, "u1,1\nu2,2\nu3,4\n").pred.tolist() == [-1, 3]
    with pytest.raises(MetricsError, match="pred:2: pair 'ccr_0' is of other clips than at ref:2"):
        joined(ref, pred.replace("u2.wav", "u5.wav"))


def test_systems_and_corpora_tell_clips_apart() -> None:
    ref = "corpus,a,b,system_a,system_b,cmos\nc,u1,u1,A,B,1\nc,u2,u2,A,B,-1\n"
    found = joined(ref, "corpus,sample_id,system_id,mos\nc,u1,A,4\nc,u1,B,3\nc,u2,A,1\nc,u2,B,2.5\n")
    assert found.pred.tolist() == [1, -1.5]
    assert found.systems == ["c/A", "c/B"]
    with pytest.raises(MetricsError, match=r"pred:3: 'u1' is there again, first at pred:2"):
        joined(ref, "sample_id,mos\nu1,4\nu1,3\nu2,1\n")


def test_systems_come_from_a_list_or_the_prediction() -> None:
    table = {"u1": "A", "u2": "B", "u3": "C"}
    found = joined(REF, "u1 1\nu2 2\nu3 3\n", utt2sys=table)
    assert [[found.systems[k] for k in pair] for pair in found.system] == [["A", "B"], ["B", "C"], ["C", "A"]]
    assert found.ballots == (
        ["A", "B", "C"],
        ["B", "C", "A"],
        [1.0, -1.0, 0.0],
        [("", "")] * 3,
        [(0, 1), (1, 2), (2, 0)],
    )
    assert joined(REF, "sample_id,system_id,mos\nu1,A,1\nu2,B,2\nu3,C,3\n").systems == ["A", "B", "C"]
    # ids that only repeat the clips' are no systems
    assert joined(REF, "sample_id,system_id,mos\nu1,u1,1\nu2,u2,2\nu3,u3,3\n").systems == []
    with pytest.raises(MetricsError, match="no system is given for clip 'u3'"):
        joined(REF, "u1 1\nu2 2\nu3 3\n", utt2sys={"u1": "A", "u2": "B"})


def test_coverage_is_strict() -> None:
    with pytest.raises(MetricsError) as error:
        joined(REF, "a,b,cmos\nu1,u2,0.5\nu2,u3,\nu4,u1,-1\n")
    text = str(error.value)
    assert "1 of 3 pairs of ref are missing, first 'u3' and 'u1' (ref:4)" in text
    assert "1 of 3 pairs are not in ref, first 'u4' and 'u1' (pred:4)" in text
    assert "1 pairs of pred have no finite score, first 'u2' and 'u3' (ref:3)" in text
    assert "--allow-missing" in text
    found = joined(REF, "a,b,cmos\nu1,u2,0.5\nu2,u3,\nu4,u1,-1\n", allow_missing=True)
    assert (len(found), found.coverage) == (1, (3, 3, 1, 1, 1))
    with pytest.raises(MetricsError, match="1 of their clips have no row, first 'u3'"):
        joined(REF, "u1 3\nu2 2.5\n")
    with pytest.raises(MetricsError, match="no pair to judge"):
        joined(REF, "u8 3\nu9 2.5\n", allow_missing=True)


def test_pairs_that_do_not_tell_their_clips() -> None:
    with pytest.raises(MetricsError, match="name their pairs in two ways"):
        joined("p1 1\np2 -1\n", "a,b,cmos\nu1,u2,1\n")
    with pytest.raises(MetricsError, match=r"every score is above 0; expected pairs"):
        joined("u1 1\nu2 4\n", "u1 1\nu2 4\n")


def test_the_tracks_of_one_file_are_parted() -> None:
    scores = read("dev-acr_0,4\ndev-ccr_0,-1\ndev-acr_1,3\n", "both")
    assert isinstance(scores, Scores)
    clips, pairs = split_tracks(scores)
    assert clips is not None
    assert (clips.sample_id, clips.value, pairs.sample_id) == (
        ["dev-acr_0", "dev-acr_1"],
        [4, 3],
        ["dev-ccr_0"],
    )
    for text in ("u1,4\nccr_0,-1\n", "u1,4\nu2,-1\n"):
        scores = read(text, "one")
        assert isinstance(scores, Scores)
        assert split_tracks(scores) == (None, scores)


def test_comparisons_beyond_their_scale_are_told_and_negative_votes_refused() -> None:
    usual, beyond = "a,b,cmos\nx,y,3\ny,z,-3\n", "a,b,cmos\nx,y,7\ny,z,-3\n"
    assert joined(usual, usual).notes == ()
    assert [
        note for note in joined(beyond, usual).notes if "comparisons reach 7, beyond -3..3 of CCR" in note
    ]
    assert not any("comparisons" in note for note in joined(usual, beyond).notes)  # a model may overshoot
    with pytest.raises(MetricsError, match=r":2: votes is -2, expected 0 or more"):
        read("a,b,cmos,votes\nx,y,1,-2\n", "ref.csv")


def test_a_vote_of_nobody_is_an_error() -> None:
    with pytest.raises(MetricsError, match=r"ref\.csv:3: no rater; expected who gave each score"):
        read("a,b,cmos,listener_id\nx,y,1,l1\nx,y,-1,\n", "ref.csv")


def test_listeners_of_two_corpora_are_two_people_whatever_their_ids() -> None:
    rows = "corpus,a,b,system_a,system_b,cmos,listener\n"
    rows += "c,u1,u2,A,B,1,7\nd,u1,u2,A,B,-1,7\n"
    found = joined(rows, "corpus,a,b,cmos\nc,u1,u2,1\nd,u1,u2,1\n").ballots
    assert (found.a, found.b, found.value) == (["c/A", "d/A"], ["c/B", "d/B"], [1, -1])
    assert found.listener == [("c", "7"), ("d", "7")]


def test_differences_of_scores_tie_as_decimals_do() -> None:
    ref = "a,b,cmos\nu1,u2,1\nu3,u4,2\nu5,u6,-1\n"
    found = joined(ref, "u1 3.3\nu2 3.1\nu3 2.2\nu4 2.0\nu5 3.0\nu6 3.1\n")
    assert found.pred.tolist() == [0.2, 0.2, -0.1]
    scaled = joined(ref, "u1 3.3e-9\nu2 3.1e-9\nu3 2.2e-9\nu4 2.0e-9\nu5 3.0e-9\nu6 3.1e-9\n")
    assert scaled.pred.tolist() == [2e-10, 2e-10, -1e-10]
    assert joined("a,b,cmos\nu1,u2,1\n", "u1 0\nu2 0\n").pred.tolist() == [0.0]
    fine = joined("a,b,cmos\nu1,u2,1\n", "u1 4.000000000001\nu2 4\n")
    assert fine.pred.tolist() == [1e-12]  # a digit of the scores, and no noise
    assert joined("a,b,cmos\nu1,u2,1\n", "u1 4.0000000000004\nu2 4\n").pred.tolist() == [0.0]
    endless = joined(ref, "u1 3.3\nu2 3.1\nu3 inf\nu4 2\nu5 3\nu6 3.1\n", allow_missing=True)
    assert endless.pred.tolist() == [0.2, -0.1]


@pytest.mark.parametrize(
    ("pred", "hint"),
    [
        ("a,b,cmos\nu2,caf\u00e9,1\n", r"Unicode form .*: 'cafe\\u0301' and 'caf\\xe9'"),
        ("caf\u00e9 1\nu2 2\n", r"Unicode form .*: 'cafe\\u0301' and 'caf\\xe9'"),
        ("a,b,cmos\nU2,cafe\u0301,1\n", "upper and lower case; write both alike: 'u2' and 'U2'"),
    ],
)
def test_ids_that_differ_in_their_writing_alone_are_told(pred: str, hint: str) -> None:
    with pytest.raises(MetricsError, match=hint):
        joined("a,b,cmos\ncafe\u0301,u2,1\n", pred)
