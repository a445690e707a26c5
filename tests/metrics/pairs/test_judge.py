"""From files to a report: both tracks of VoiceMOS 2026, clips beside pairs, systems ranked by votes."""

import io
from pathlib import Path

import pytest
from sqa_metrics import MetricsError, judge_pairs, rank_systems, score


def file(text: str, name: str = "file") -> io.BytesIO:
    found = io.BytesIO(text.encode())
    found.name = name
    return found


def unique(text: str) -> str:
    """The same rows, each of a pair of its own."""
    head, *rows = text.split("\n")
    return "\n".join([head, *(f"{k}{row.replace(',', f',{k}', 1)}" for k, row in enumerate(rows))])


BOTH = "sample_id,score\nacr_0,4\nacr_1,3\nacr_2,2\nccr_0,-1\nccr_1,2\n"
ANSWER = "sample_id,pred_score\nacr_0,4.5\nacr_1,3\nacr_2,1\nccr_0,-0.5\nccr_1,1\n"


def test_files_of_both_tracks_are_parted() -> None:
    found = judge_pairs(file(BOTH), file(ANSWER), name="team")
    clips = [text.split("ccr_0")[0] for text in (BOTH, ANSWER)]
    assert found.acr is not None
    assert found.acr.name == "team"
    assert found.acr.utterance == score(file(clips[0]), file(clips[1])).utterance
    assert found.pair["mse"] == (0.5**2 + 1) / 2
    assert "level" in found.table().split("\n\n")[1]
    assert found.as_dict()["acr"]["n_utterances"] == 3
    with pytest.raises(MetricsError, match="has no clips such as 'acr_0'"):
        judge_pairs(file(BOTH), file("ccr_0 1\nccr_1 2\n"))
    with pytest.raises(MetricsError, match="has no clips such as 'acr_0'"):
        judge_pairs(file(BOTH), file("sample_id,a,b,cmos\nccr_0,u1,u2,1\nccr_1,u1,u3,2\n"))
    with pytest.raises(MetricsError, match="holds single clips itself, such as 'acr_0'"):
        judge_pairs(file(BOTH), file(ANSWER), acr_ref=file(clips[0]), acr_pred=file(clips[1]))


def test_clips_of_both_tracks_have_the_systems_of_utt2sys() -> None:
    found = judge_pairs(file(BOTH), file(ANSWER), utt2sys={"acr_0": "A", "acr_1": "B", "acr_2": "B"})
    assert found.acr is not None
    assert found.acr.n_systems == 2
    assert found.acr.system is not None
    assert found.acr.system["mse"] == pytest.approx((0.5**2 + 0.5**2) / 2)
    with pytest.raises(MetricsError, match=r"file:4: sample_id 'acr_2' is not in utt2sys"):
        judge_pairs(file(BOTH), file(ANSWER), utt2sys={"acr_0": "A", "acr_1": "B"})


def test_the_files_of_the_challenge(shared: Path) -> None:
    ref, pred = (shared / "cases" / "scores" / f"vmc26_{name}.csv" for name in ("ref", "pred"))
    found = judge_pairs(ref, pred)
    assert found.acr is not None
    assert (found.n_pairs, found.acr.n_utterances) == (2, 3)
    assert found.pair["mse"] == pytest.approx((0.4**2 + 0.6**2) / 2)


@pytest.mark.parametrize("given", ["acr_ref", "acr_pred"])
def test_clips_of_one_side_alone_are_refused(given: str) -> None:
    with pytest.raises(MetricsError, match=r"acr_ref and acr_pred .* go together; one of them is missing"):
        judge_pairs(file("a,b,cmos\nu1,u2,-1\n"), file("u1 1\nu2 2\n"), **{given: file("u1 1\nu2 2\n")})


def test_clips_of_other_files_stand_beside() -> None:
    clips = file("u1 1\nu2 2\nu3 4\n"), file("u1 1.5\nu2 2\nu3 3\n")
    found = judge_pairs(
        file("a,b,cmos\nu1,u2,-1\n"), file("u1 1\nu2 2\n"), acr_ref=clips[0], acr_pred=clips[1]
    )
    assert found.acr is not None
    assert found.acr.utterance["mse"] == pytest.approx((0.25 + 1) / 3)
    assert any(note.startswith("single clips: no system level") for note in found.notes())


def test_systems_are_ranked_by_votes() -> None:
    head = "a,b,system_a,system_b,preference,listener\n"
    votes = [
        f"u{k},v{k},{x},{y},{p},L{k % 11}"
        for x, y, p in ("ABa", "ABb", "BCa", "CBa", "ACa", "ACt", "BCt")
        for k in range(12)
    ]
    text = unique(head + "\n".join(votes).replace(",t,", ",tie,"))
    found = rank_systems(file(text))
    assert (found.listeners, found.systems[0]) == (11, "A")
    assert (found.wins.sum(), found.ties.sum()) == (60, 2 * 24)
    both = judge_pairs(file(text), file(text), rank=True)
    assert both.strengths is not None
    assert both.strengths.strength == pytest.approx(found.strength)


def test_means_within_epsilon_are_ties() -> None:
    text = "a,b,system_a,system_b,cmos\nu1,v1,A,B,0.2\nu2,v2,A,B,-1\nu3,v3,A,B,2\n"
    assert rank_systems(file(text)).ties.sum() == 0
    assert rank_systems(file(text), ref_epsilon=0.5).ties.sum() == 2


def test_systems_are_needed_for_a_ranking() -> None:
    with pytest.raises(MetricsError, match="no comparison of two systems"):
        rank_systems(file("a,b,cmos\nu1,u2,1\n"))
    with pytest.raises(MetricsError, match=r"dis: the systems fall into 2 groups .* 'A', 'B'; 'C', 'D'"):
        rank_systems(file("a,b,cmos,system_a,system_b\nu1,u2,1,A,B\nu3,u4,1,C,D\n", "dis"))
    text = "a,b,cmos\nu1,u2,1\n"
    assert rank_systems(file(text), utt2sys={"u1": "A", "u2": "B"}).systems == ["A", "B"]
