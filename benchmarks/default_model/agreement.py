"""Agreement with the teacher, set by set: the score, its `mos_std`, and talkers heard through a neural codec."""

import functools
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr
from sqa_data import Utterance
from sqa_data.audio import AudioError, look
from sqa_data.degrade.chain import degrade
from sqa_data.degrade.kind import Step
from sqa_data.degrade.kinds import HELD_OUT_KINDS
from sqa_data.degrade.signal import Samples

from default_model.context import LANGUAGES, Context, kinds_of, spread, waves_of
from default_model.table import Line, judged
from default_model.teacher import RATE, heard_by_teacher

REAL_ENHANCERS = {"gtcrn", "dtln", "rnnoise", "deepfilternet", "webrtc-ns", "speexdsp", "noisereduce"}
NO_SPEECH = (
    "rir_sim",
    "noise_freesound",
)  # how the names of the impulse response and of the pure noise begin
# the recipe fits `mos_std` on every second recording, from the first on
RECORDED = {"recordings": slice(None), "every second recording": slice(1, None, 2)}
LYRA_RATES = (0.0, 0.25, 0.5)  # severities of the kind `lyra`: 9.2, 6 and 3.2 kbit/s, coded once
TALKERS, CLIPS_EACH, RENDER_S = 30, 2, 4.0


@dataclass(frozen=True)
class Heard:
    """One set of clips: ours and the teacher's scores."""

    ours: np.ndarray  # (clips,)
    std: np.ndarray  # (clips,) of `mos_std`; NaN without that head
    theirs: np.ndarray  # (clips, delays)

    @property
    def truth(self) -> np.ndarray:
        """(clips,) The teacher's mean over delays."""
        return np.asarray(self.theirs.mean(axis=1))

    @property
    def numbers(self) -> dict[str, float]:
        """LCC, RMSE, bias, and the LCC of one official pass of the teacher with its own mean."""
        error = self.ours - self.truth
        return {
            "clips": len(error),
            "lcc": lcc(self.ours, self.truth),
            "rmse": float(np.sqrt(np.mean(error**2))),
            "bias": float(error.mean()),
            "pass_lcc": lcc(self.theirs[:, 0], self.truth),
        }

    @property
    def uncertainty(self) -> dict[str, float]:
        """Coverage of the 68 and 95 % intervals, and the rank correlation of `mos_std` with the size of the error."""
        error = np.abs(self.ours - self.truth)
        inside = [float(np.mean(error <= z * self.std)) for z in (0.994, 1.960)]
        return {"in68": inside[0], "in95": inside[1], "rank": float(spearmanr(self.std, error).statistic)}


def lcc(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's correlation."""
    return float(np.corrcoef(a, b)[0, 1])


class Sets:
    """The sets of clips, each heard once, by both."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.hear = functools.cache(self._hear)

    def _hear(self, name: str) -> Heard | None:
        waves = self.waves(name)
        if len(waves) < 5:
            return None
        ours = self.context.scores(waves)
        nothing = np.full(len(waves), np.nan)
        return Heard(ours["mos"], ours.get("mos_std", nothing), self.context.teacher(waves, name))

    def waves(self, name: str) -> list[np.ndarray]:
        """The audio of a set."""
        if name in RECORDED:
            paths = recordings(self.context.recordings)[RECORDED[name]]
            return [heard_by_teacher(path) for path in paths]
        if name == "neural codecs":
            return waves_of(self.rows("lyra")) + [wave for talker in self.talkers for wave in talker]
        return waves_of(self.rows(name))

    def rows(self, name: str) -> list[Utterance]:
        """The rows of a set, at most `cap`."""
        pick = _PICKS[name]
        rows = [row for row in self.context.rows(pick.folder) if pick.wanted(row)]
        return self.context.some(rows)

    @functools.cached_property
    def talkers(self) -> list[list[np.ndarray]]:
        """Of each new talker the renders by a neural codec: clips x rates."""
        by_talker: dict[str, list[Utterance]] = {}
        for row in self.context.rows("clean"):
            if "reference_path" in row.extra and row.duration >= RENDER_S / 2:
                by_talker.setdefault(row.extra["talker"], []).append(row)
        real = [
            rows
            for _, rows in sorted(by_talker.items())
            if len(rows) >= CLIPS_EACH and not _synthetic(rows[0])
        ]
        own = [rows[:CLIPS_EACH] for rows in spread(real, min(TALKERS, self.context.cap // 2))]
        folder, around = self.context.clips / "clean", self.context.around
        paths = [folder / row.extra["reference_path"] for rows in own for row in rows]
        clean = [heard_by_teacher(path)[: int(RENDER_S * RATE)] for path in paths]

        def make() -> list[Samples]:
            return [degrade(x, [Step("lyra", s)], 0, around).samples for x in clean for s in LYRA_RATES]

        made = self.context.rendered("lyra-talkers", clean, make)
        made = [np.asarray(wave, np.float32) for wave in made]
        size = len(made) // len(own)
        return [made[i * size : (i + 1) * size] for i in range(len(own))]


@dataclass(frozen=True)
class _Pick:
    """Which rows of which folder are a set."""

    folder: str
    wanted: Callable[[Utterance], bool]


def _language(row: Utterance) -> str:
    return (row.language or "").lower().split("-")[0]


def _synthetic(row: Utterance) -> bool:
    return row.extra.get("source_kind") == "synthetic"


def _held_out(row: Utterance) -> bool:
    return bool(kinds_of(row) & set(HELD_OUT_KINDS))


_PICKS = {
    "lyra": _Pick("neural", lambda row: "lyra" in kinds_of(row)),
    "neural": _Pick("neural", lambda row: True),
    "enhancers": _Pick("enhanced", lambda row: bool(kinds_of(row) & REAL_ENHANCERS)),
    "synthetic": _Pick("clean", _synthetic),
    "languages": _Pick("clean", lambda row: _language(row) in LANGUAGES),
    "clean": _Pick("clean", lambda row: True),
    "broad, seen kinds": _Pick("broad", lambda row: not _held_out(row)),
    "held-out kinds": _Pick("broad", _held_out),
}
_HEARD = "LCC {lcc:.3f}, RMSE {rmse:.2f}, bias {bias:+.2f} ({clips:.0f} clips; one pass of the teacher {pass_lcc:.3f})"
_GOALS: tuple[tuple[str, str, float, float], ...] = (  # set, words, least LCC, largest RMSE
    ("neural codecs", "neural codec (Lyra alone and in chains)", 0.85, np.inf),
    ("neural", "neural codecs, vocoders, concealment, Codec 2", 0.85, np.inf),
    ("enhancers", "real enhancers", 0.92, np.inf),
    ("synthetic", "synthetic speech, clean", 0.85, np.inf),
    ("languages", "clean speech of eight held-out languages", 0.85, np.inf),
    ("recordings", "recordings, without impulse response and pure noise", 0.94, 0.32),
    ("broad, seen kinds", "broad, kinds trained on", -1, np.inf),
    ("held-out kinds", f"broad, {', '.join(HELD_OUT_KINDS)}", -1, np.inf),
    ("clean", "clean speech", -1, np.inf),
)


def measure(sets: Sets) -> Iterator[Line]:
    """LCC, RMSE and bias on each set; of the held-out languages each one's bias beside it."""
    for name, words, least, largest in _GOALS:
        heard = sets.hear(name)
        what = f"agreement: {words}"
        if heard is None:
            yield Line(what, "no clips")
            continue
        goal = (
            (f"LCC ≥ {least:g}" + (f", RMSE ≤ {largest:g}" if largest < np.inf else "")) if least > 0 else ""
        )
        held = (
            (lambda lcc, rmse, least=least, largest=largest, **_: lcc >= least and rmse <= largest)
            if goal
            else None
        )
        yield judged(what, _HEARD, goal, held, **heard.numbers)
        if name == "languages":
            yield _by_language(sets.rows(name), heard)


def _by_language(rows: Sequence[Utterance], heard: Heard) -> Line:
    spoken = np.array([_language(row) for row in rows])
    error = heard.ours - heard.truth
    counts = {language: int((spoken == language).sum()) for language in LANGUAGES}
    found = {language: float(error[spoken == language].mean()) for language, n in counts.items() if n}
    text = ", ".join(f"{language} {bias:+.2f} ({counts[language]})" for language, bias in found.items())
    return Line("agreement: bias by language (clips)", text, numbers=found)


def recordings(folder: Path | None) -> list[Path]:
    """The recordings of a second or more in which somebody speaks; what is not audio is passed over."""
    found = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()) if folder else []:
        try:
            if look(path).duration_s >= 1 and not path.name.startswith(NO_SPEECH):
                found.append(path)
        except AudioError as error:
            logging.getLogger(__name__).info("%s", error)
    return found


def talkers(sets: Sets) -> Iterator[Line]:
    """How far the means of new talkers differ where all went through the same neural codec."""
    groups = sets.talkers
    waves = [wave for group in groups for wave in group]
    shape = (len(groups), -1)
    ours = sets.context.mos(waves).reshape(shape).mean(axis=1)
    theirs = sets.context.teacher(waves, "talkers").mean(axis=1).reshape(shape).mean(axis=1)
    yield judged(
        f"sd of talker means, Lyra at 3 rates, {len(groups)} new talkers",
        "{sd:.3f}; its teacher {teacher:.3f}",
        "≤ .25 and ≤ the teacher's",
        lambda sd, teacher: sd <= 0.25 and sd <= teacher,
        sd=float(ours.std(ddof=1)),
        teacher=float(theirs.std(ddof=1)),
    )


def uncertainty(sets: Sets) -> Iterator[Line]:
    """Coverage of `mos_std` and its rank correlation with the error, set by set, and that on average."""
    ranks = []
    for name in ("every second recording", "held-out kinds", "neural", "enhancers", "clean"):
        heard = sets.hear(name)
        if heard is None or np.isnan(heard.std).any():
            yield Line(f"mos_std: {name}", "no clips" if heard is None else "the model has no such head")
            continue
        ranks.append(heard.uncertainty["rank"])
        yield judged(
            f"mos_std: {name}",
            "covers {in68:.0%} / {in95:.0%}, rank correlation with the error {rank:.2f}",
            "60–78 / 91–98 %, ≥ .2",
            lambda in68, in95, rank: 0.6 <= in68 <= 0.78 and 0.91 <= in95 <= 0.98 and rank >= 0.2,
            **heard.uncertainty,
        )
    if ranks:
        mean = float(np.mean(ranks))
        yield judged(
            "mos_std: mean of the rank correlations",
            "{rank:.2f}",
            "≥ .3",
            lambda rank: rank >= 0.3,
            rank=mean,
        )
