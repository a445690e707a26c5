"""From files to figures: a prediction against listeners' pairs, clips beside them, and systems ranked by pairs."""

from dataclasses import replace

from sqa_metrics.collector import collector_off
from sqa_metrics.errors import MetricsError
from sqa_metrics.pairs.join import Ballots, ballots_of, join_pairs, require_pairs, split_tracks
from sqa_metrics.pairs.report import PairReport, evaluate_pairs
from sqa_metrics.pairs.rows import Pairs, read_pairs
from sqa_metrics.pairs.strengths import Strengths, strengths
from sqa_metrics.report import Report, evaluate, score
from sqa_metrics.rows.join import join
from sqa_metrics.rows.read import by_utt2sys
from sqa_metrics.rows.records import Scores, Source


@collector_off()
def judge_pairs(
    ref: Source,
    pred: Source,
    *,
    name: str = "pred",
    ref_metric: str | None = None,
    pred_metric: str | None = None,
    utt2sys: dict[str, str] | None = None,
    acr_ref: Source | None = None,
    acr_pred: Source | None = None,
    epsilon: float = 0.0,
    ref_epsilon: float = 0.0,
    level: float = 0.95,
    rank: bool = False,
    allow_missing: bool = False,
) -> PairReport:
    """Read listeners' pairs and a prediction of them, or of their clips, and report how well they agree.

    Formats: `pairs.rows`; coverage: `pairs.join`; figures and `epsilon`: `evaluate_pairs`.

    acr_ref, acr_pred: scores of single clips, to be judged beside (`score`). Files that hold both, with the ids of
        VoiceMOS 2026 (`acr_0`, `ccr_0`), are parted by themselves.
    rank: rank the systems by listeners' pairs too (`rank_systems`).

    Raises MetricsError naming file, line and pair.

    >>> import io
    >>> ref = io.BytesIO(b"sample_id,score\\nacr_0,4\\nacr_1,3\\nccr_0,-1\\nccr_1,2\\n")
    >>> report = judge_pairs(ref, io.BytesIO(b"acr_1 3\\nacr_0 3.5\\nccr_1 1\\nccr_0 -2"))
    >>> report.n_pairs, report.pair["mse"], report.acr.utterance["mse"]
    (2, 1.0, 0.125)
    """
    if (acr_ref is None) != (acr_pred is None):
        raise MetricsError("acr_ref and acr_pred (--acr-ref, --acr-pred) go together; one of them is missing")
    listeners, predicted = read_pairs(ref, ref_metric), read_pairs(pred, pred_metric)
    acr: Report | None = None
    if acr_ref is not None and acr_pred is not None:
        acr = replace(score(acr_ref, acr_pred, utt2sys=utt2sys, allow_missing=allow_missing), name=name)
    if isinstance(listeners, Scores):
        clips, listeners = split_tracks(listeners)
        if clips is not None:
            if acr is not None:
                raise MetricsError(
                    f"{clips.path}: holds single clips itself, such as {clips.sample_id[0]!r}; expected no others "
                    "beside them (--acr-ref)"
                )
            if utt2sys is not None:
                clips = replace(clips, system_id=by_utt2sys(clips.sample_id, utt2sys, clips.place))
            theirs, predicted = _answers(predicted, clips)
            acr = evaluate(join(clips, {name: theirs}, allow_missing=allow_missing))
    joined = join_pairs(
        require_pairs(listeners), predicted, name, utt2sys=utt2sys, allow_missing=allow_missing
    )
    report = evaluate_pairs(joined, epsilon=epsilon, ref_epsilon=ref_epsilon, level=level)
    ranked = _ranked(joined.ballots, listeners.path, ref_epsilon, level) if rank else None
    return replace(report, acr=acr, strengths=ranked)


def _answers(predicted: Pairs | Scores, clips: Scores) -> tuple[Scores, Scores]:
    """The answers to single clips, and those to pairs, of a prediction where the reference asks for both."""
    theirs, pairs = split_tracks(predicted) if isinstance(predicted, Scores) else (None, None)
    if theirs is None or pairs is None:
        raise MetricsError(
            f"{predicted.path}: has no clips such as {clips.sample_id[0]!r} of {clips.path}; expected both "
            "the clips and the pairs of the reference"
        )
    return theirs, pairs


@collector_off()
def rank_systems(
    ref: Source,
    *,
    metric: str | None = None,
    utt2sys: dict[str, str] | None = None,
    ref_epsilon: float = 0.0,
    level: float = 0.95,
) -> Strengths:
    """Rank systems by listeners' comparisons: Bradley-Terry strengths, Davidson's where there are ties.

    Each vote counts where rows are votes, else each pair once, whatever the size of its CMOS; pairs inside one system
    do not count. A vote or mean of at most `ref_epsilon` is a tie. Raises MetricsError naming file and line.

    >>> import io
    >>> rows = "a,b,system_a,system_b,cmos\\nu1,u2,A,B,1\\nu3,u4,B,A,-1\\nu5,u6,A,B,-2\\n"
    >>> rank_systems(io.BytesIO(rows.encode())).systems
    ['A', 'B']
    """
    pairs = require_pairs(read_pairs(ref, metric))
    return _ranked(ballots_of(pairs, utt2sys), pairs.path, ref_epsilon, level)


def _ranked(ballots: Ballots, path: str, ref_epsilon: float, level: float) -> Strengths:
    if not ballots.a:
        raise MetricsError(
            f"{path}: no comparison of two systems; expected columns system_a and system_b, or --utt2sys FILE"
        )
    decided = [v if abs(v) > ref_epsilon else 0.0 for v in ballots.value]
    listener = ballots.listener if all(name for _, name in ballots.listener) else None
    try:
        return strengths(ballots.a, ballots.b, decided, listener=listener, clips=ballots.clips, level=level)
    except MetricsError as error:
        raise MetricsError(f"{path}: {error}") from None
