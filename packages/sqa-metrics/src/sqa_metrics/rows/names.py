"""What columns are called: the names that a table may use for what `score` looks for, and how one of them is chosen.

A name as it stands in the tables of this project is taken without a word, another known one is told in a note. Two
known names of the same standing that hold different values are an error: nothing is guessed.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from sqa_metrics.errors import MetricsError
from sqa_metrics.rows.records import Role
from sqa_metrics.rows.table import Column

Tiers: TypeAlias = tuple[tuple[str, ...], ...]
Named: TypeAlias = Mapping[str, str]  # "mos" or "ref:mos" -> the column's name; "" for none

OVERALL = (
    *("ovr", "ovrl", "ovl", "overall", "mos_ovr", "mos_ovrl", "ovr_mos", "ovrl_mos"),
    *("opinion_score", "opinion", "true_mos", "mos_true", "quality"),
)
MEAN = ("avg_score", "mean_score", "avg_rating", "mean_rating", "avg_mos", "mean_mos", "mean_opinion_score")
PREDICTED = (
    *("answer", "prediction", "predicted", "pred", "pred_score", "pred_mos", "mos_pred"),
    *("predicted_mos", "predicted_score", "mos_prediction", "mos_predicted"),
)
RATED = ("rating", "score", "vote", "opinion_score")

# The names of each column, in lower case with _ for what is no letter or digit: those of one line have equal standing,
# and a line comes before the next. SHEET's result tables carry the true `avg_score` beside the predicted `answer`.
MOS: dict[Role, Tiers] = {
    "ref": (("mos",), MEAN, ("score", "rating", *OVERALL)),
    "pred": (("mos",), PREDICTED, MEAN, ("score", "rating", *OVERALL)),
}
NAMES: dict[str, Tiers] = {
    "sample_id": (
        ("sample_id",),
        ("uid",),
        ("utt", "utt_id", "utterance", "utterance_id", "utt_name", "clip_id", "sample", "sample_name"),
        (
            *("wav_path", "wav", "wav_name", "wav_file", "path", "filename", "file_name", "file", "filepath"),
            *("file_path", "deg", "deg_wav", "deg_path", "filename_deg", "filepath_deg", "degraded", "clip"),
        ),
    ),
    "system_id": (
        ("system_id",),
        ("system", "sys", "sys_id", "system_name"),
        ("condition", "condition_id", "condition_num", "cond"),
    ),
    "corpus": (("corpus",), ("dataset", "database", "corpus_id", "corpus_name")),
    "listener_id": (
        ("listener_id",),
        (
            *("listener", "listener_name", "worker_id", "worker", "rater_id", "rater", "rater_name"),
            *("annotator_id", "annotator", "subject_id", "subject", "participant_id", "participant"),
        ),
    ),
    "votes": (("votes",), ("n_votes", "num_votes", "nr_votes", "n_ratings", "num_ratings", "vote_count")),
}
WHATS = (*NAMES, "mos", "mos_std")
NEEDED = ("sample_id", "mos")

RAW_IDS = ("sample_id", "uid")  # as they stand; other columns of ids may hold paths of audio files
PATH_COLUMNS = ("wav_path", "wav", "path")  # always paths, also without an audio suffix


@functools.cache
def plain(name: str) -> str:
    """A column's name in lower case, with _ for what is neither letter nor digit.

    >>> plain("n votes"), plain("MOS_OVRL"), plain("95%CI")
    ('n_votes', 'mos_ovrl', '95_ci')
    """
    return "".join(c if c.isalnum() else "_" for c in name.strip().lower())


def deviation_tiers(score_name: str, is_mos: bool) -> Tiers:
    """What the column of standard deviations beside the scores `score_name` may be called.

    >>> deviation_tiers("MOS_SIG", False)
    (('mos_sig_std', 'std_mos_sig', 'mos_sig_sd', 'sig_std', 'std_sig', 'sig_sd'),)
    """
    name = plain(score_name)
    own = [
        form.format(n) for n in (name, name.removeprefix("mos_")) for form in ("{}_std", "std_{}", "{}_sd")
    ]
    tiers = (tuple(dict.fromkeys(own)),)
    return (("mos_std",), *tiers, ("std", "sd", "stddev", "std_mos", "mos_sd")) if is_mos else tiers


def checked(named: Named) -> Named:
    """`named` if each key is a column that `score` looks for, alone or after `ref:` or `pred:`."""
    for key, name in named.items():
        what = key.removeprefix("ref:").removeprefix("pred:")
        if what not in WHATS:
            raise MetricsError(
                f"columns: {key!r} is no column that is looked for; expected {', '.join(WHATS)}, "
                "alone or after ref: or pred:, as in mos=SIG,ref:sample_id=file"
            )
        if not isinstance(name, str) or (not name and what in NEEDED):
            raise MetricsError(f"columns: {key} is {name!r}; expected the name of a column")
    return named


def one_side(named: Named | None, role: Role) -> Named:
    """`named` where there is one table alone: all of it must be there."""
    return {f"{role}:{key.rpartition(':')[2]}": name for key, name in checked(named or {}).items()}


def choose(
    what: str, tiers: Tiers, path: str, names: Sequence[str], column: Callable[[str], Column]
) -> str | None:
    """The column of `names` that is `what`, None where there is none.

    MetricsError where two of the same standing differ in what they hold.
    """
    forms = {name: plain(name) for name in names}
    for tier in tiers:
        own = tier is tiers[0] and tier is not RATED and tier[0] in forms
        found = [tier[0]] if own else [name for name, form in forms.items() if form in tier]
        if len(found) > 1 and any(list(column(name)) != list(column(found[0])) for name in found[1:]):
            listed = ", ".join(map(repr, found))
            raise MetricsError(
                f"{path}: {what} could be each of the columns {listed}; say which, as in "
                f"--columns {what}={found[0]} (columns={{{what!r}: {found[0]!r}}})"
            )
        if found:
            return found[0]
    return None


def recognised(name: str, whats: Sequence[str], score_name: str) -> bool:
    """Whether one of `whats` would be read from a column of this name.

    >>> recognised("Listener", ["listener_id"], "mos"), recognised("duration", ["listener_id", "votes"], "mos")
    (True, False)
    """
    form = plain(name)
    tiers = [
        NAMES[what] if what in NAMES else deviation_tiers(score_name, score_name == "mos") for what in whats
    ]
    return any(form in tier for some in tiers for tier in some)
