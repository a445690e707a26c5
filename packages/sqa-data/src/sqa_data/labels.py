"""The labels of the field and the values each may take: what `metrics` of a manifest line holds.

Two ranges a label. `RANGES`: its scale, which a model's head squashes to. `GIVEN`: what the metric can give where that
is more; such a label is valid, and training moves it to the end of the head's range. Bounds are inclusive; a bound
that does not exist is infinite. Sources: ITU-T P.800.1 for the opinion scores (absolute category rating, 1 to 5),
ITU-T P.862.1 and P.862.2 for PESQ (mapped to MOS-LQO, here in its usual 1 to 4.5), the Uni-VERSA-Ext baseline for
the choice and the names of the 22.
"""

import math
from collections.abc import Mapping

MOS = (1.0, 5.0)
_UNCERTAINTY = "_std"

# label -> (lowest, highest) value of its scale
RANGES: dict[str, tuple[float, float]] = {
    "mos": MOS,  # mean opinion score of listeners: overall quality
    "dnsmos_ovrl": MOS,
    "dnsmos_sig": MOS,
    "dnsmos_bak": MOS,
    "dnsmos_p808": MOS,
    "plcmos": MOS,
    "scoreq": MOS,
    "utmos": MOS,
    "nisqa_mos": MOS,
    "distill_mos": MOS,
    "sigmos_ovrl": MOS,
    "sigmos_col": MOS,
    "sigmos_disc": MOS,
    "sigmos_loud": MOS,
    "sigmos_noise": MOS,
    "sigmos_reverb": MOS,
    "sigmos_sig": MOS,
    "pesq": (1.0, 4.5),
    "pesqc2": (1.0, 4.5),
    "stoi": (0.0, 1.0),
    "estoi": (0.0, 1.0),
    "lps": (0.0, 1.0),  # Levenshtein phoneme similarity
    "spksim": (-1.0, 1.0),  # cosine of speaker embeddings
    "sbert": (0.0, 1.0),  # SpeechBERTScore
    "mcd": (0.0, math.inf),  # mel cepstral distortion, dB
    "lsd": (0.0, math.inf),  # log-spectral distance, natural logarithm of the power ratio (1 is 4.34 dB)
    "sdr": (-math.inf, math.inf),  # signal-to-distortion ratio, dB
    "si_sdr": (-math.inf, math.inf),  # scale-invariant SDR, dB
    # further ratings by listeners
    "mos_noi": MOS,  # NISQA: noisiness
    "mos_col": MOS,  # NISQA: coloration
    "mos_dis": MOS,  # NISQA: discontinuity
    "mos_loud": MOS,  # NISQA: loudness
    "mos_sig": MOS,  # ITU-T P.835: speech signal
    "mos_bak": MOS,  # ITU-T P.835: background
    "mos_overall": MOS,  # UrgentMOS calls overall quality so, and has the next five
    "mos_quality": MOS,
    "mos_prosody": MOS,
    "mos_expressiveness": MOS,
    "mos_fluency": MOS,
    "mos_paralinguistic": MOS,
    "mos_naturalness": MOS,
    "mos_intelligibility": MOS,
    "mos_similarity": MOS,  # of the speaker, to a recording
    "mos_speed": MOS,  # QualiSpeech, and the next four
    "mos_noise": MOS,
    "mos_distortion": MOS,
    "mos_effort": MOS,  # of listening
    "mos_continuity": MOS,
    "mos_dynamics": MOS,  # SpeechEval: dynamic range, and the next three
    "mos_emotion": MOS,
    "mos_expression": MOS,
    "mos_experience": MOS,
}


def is_opinion(label: str) -> bool:
    """Whether `label` is what listeners said, who cannot leave their scale; a model's estimate can.

    >>> is_opinion("mos_bak"), is_opinion("nisqa_mos")
    (True, False)
    """
    return label.partition("_")[0] == "mos"


# networks that estimate an opinion end in a linear layer: DNSMOS of noise is .77, NISQA .70. Who is a whole point off
# the scale means another one
ESTIMATE = (0.0, 6.0)
PESQ = (0.999, 4.644)  # wide band, P.862.2; narrow band ends at 4.549, P.862.1
CORRELATION = (-1.0, 1.0)

# label -> (lowest, highest) value that the metric can give, where that is more than its scale
GIVEN: dict[str, tuple[float, float]] = {
    **{label: ESTIMATE for label in RANGES if RANGES[label] == MOS and not is_opinion(label)},
    "pesq": PESQ,
    "pesqc2": PESQ,
    "stoi": CORRELATION,
    "estoi": CORRELATION,
    "lps": (-math.inf, 1.0),  # more errors than phonemes
    "sbert": CORRELATION,
}
ROUNDING = 1e-6  # of what is computed in float32: a cosine of 1.0000001


def is_uncertainty(head: str) -> bool:
    """Whether a model's output called `head` is an uncertainty, which no manifest labels.

    The rule, here and nowhere else: `<label>_std` is the standard deviation of the error of head `<label>`.

    >>> is_uncertainty("mos_std"), is_uncertainty("mos")
    (True, False)
    """
    return head.endswith(_UNCERTAINTY)


def uncertainty_of(label: str) -> str:
    """The name of the head that says how uncertain head `label` is: "mos" -> "mos_std"."""
    return label + _UNCERTAINTY


def label_of(uncertainty: str) -> str:
    """The head that an uncertainty is about: "mos_std" -> "mos"."""
    return uncertainty.removesuffix(_UNCERTAINTY)


def spread_of(label: str) -> str:
    """The name of how far several models disagree on `label`: "mos" -> "mos_spread"."""
    return label + "_spread"


def range_of(label: str, scales: Mapping[str, tuple[float, float]] | None = None) -> tuple[float, float]:
    """The scale of `label`: that of `scales` (of a manifest's line), or its usual one, or none.

    >>> range_of("mos"), range_of("mos", {"mos": (0, 100)}), range_of("my_metric")
    ((1.0, 5.0), (0, 100), (-inf, inf))
    """
    return (scales or {}).get(label) or RANGES.get(label, (-math.inf, math.inf))


def valid_range(label: str, scales: Mapping[str, tuple[float, float]] | None = None) -> tuple[float, float]:
    """The bounds of a valid `label`: what its metric can give, which may be more than its scale.

    >>> valid_range("pesq"), valid_range("mos"), valid_range("utmos", {"utmos": (0, 100)})
    ((0.999, 4.644), (1.0, 5.0), (0, 100))
    """
    return (scales or {}).get(label) or GIVEN.get(label) or range_of(label)


def in_range(label: str, value: float, scales: Mapping[str, tuple[float, float]] | None = None) -> bool:
    """Whether `value` is finite and valid for `label`, see `valid_range`.

    >>> in_range("mos", 4.2), in_range("mos", 5.1), in_range("my_metric", 99.0), in_range("sdr", math.nan)
    (True, False, True, False)
    >>> in_range("pesq", 4.64)
    True
    """
    low, high = valid_range(label, scales)
    return math.isfinite(value) and low - ROUNDING <= value <= high + ROUNDING
