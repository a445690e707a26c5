"""Measure how well predicted mean opinion scores agree with listeners.

Public names load on first use, so `import sqa_metrics` brings neither NumPy nor Numba.
"""

import importlib
from typing import TYPE_CHECKING

from sqa_metrics.errors import MetricsError

__version__ = "0.1.0"

if TYPE_CHECKING:  # for type checkers and editors; __getattr__ below does it at run time
    from sqa_metrics.accumulate import Scorer
    from sqa_metrics.agreement import (
        ConstantInputWarning,
        OmittedWarning,
        four,
        ktau,
        ktau_many,
        ktau_matrix,
        lcc,
        mse,
        srcc,
        warmup,
    )
    from sqa_metrics.alignment import align
    from sqa_metrics.calibration.fit import calibrate
    from sqa_metrics.calibration.record import Calibration, read_calibration, write_calibration
    from sqa_metrics.figures import FIGURES, Figure, all_figures
    from sqa_metrics.interval import Interval, Macro
    from sqa_metrics.p1401.compare import compare_p1401
    from sqa_metrics.p1401.figures import p1401_figures
    from sqa_metrics.p1401.levels import P1401, with_p1401
    from sqa_metrics.p1401.mapping import fit_mapping
    from sqa_metrics.pairs.join import PairedPairs, join_pairs
    from sqa_metrics.pairs.judge import judge_pairs, rank_systems
    from sqa_metrics.pairs.report import PairReport, evaluate_pairs
    from sqa_metrics.pairs.rows import Pairs, read_pairs
    from sqa_metrics.pairs.strengths import Strengths, strengths
    from sqa_metrics.plan import Spread, systems_for_predictors, votes_for_difference, votes_for_interval
    from sqa_metrics.ranking import Place, dense_rank, rank
    from sqa_metrics.ratings import ListeningTest, Ratings, listening_test, ratings_of, read_ratings
    from sqa_metrics.report import Report, by_corpus, evaluate, score
    from sqa_metrics.rows.join import join
    from sqa_metrics.rows.pair import pair
    from sqa_metrics.rows.read import read_scores, read_utt2sys
    from sqa_metrics.rows.records import Coverage, Paired, Scores
    from sqa_metrics.rows.systems import systems_of
    from sqa_metrics.signature import verify_signature
    from sqa_metrics.uncertainty.ceilings import Ceiling, ceiling
    from sqa_metrics.uncertainty.differences import Difference, compare, compare_unpaired, holm
    from sqa_metrics.uncertainty.intervals import intervals, with_uncertainty

__all__ = [
    "FIGURES",
    "P1401",
    "Calibration",
    "Ceiling",
    "ConstantInputWarning",
    "Coverage",
    "Difference",
    "Figure",
    "Interval",
    "ListeningTest",
    "Macro",
    "MetricsError",
    "OmittedWarning",
    "PairReport",
    "Paired",
    "PairedPairs",
    "Pairs",
    "Place",
    "Ratings",
    "Report",
    "Scorer",
    "Scores",
    "Spread",
    "Strengths",
    "align",
    "all_figures",
    "by_corpus",
    "calibrate",
    "ceiling",
    "compare",
    "compare_p1401",
    "compare_unpaired",
    "dense_rank",
    "evaluate",
    "evaluate_pairs",
    "fit_mapping",
    "four",
    "holm",
    "intervals",
    "join",
    "join_pairs",
    "judge_pairs",
    "ktau",
    "ktau_many",
    "ktau_matrix",
    "lcc",
    "listening_test",
    "mse",
    "p1401_figures",
    "pair",
    "rank",
    "rank_systems",
    "ratings_of",
    "read_calibration",
    "read_pairs",
    "read_ratings",
    "read_scores",
    "read_utt2sys",
    "score",
    "srcc",
    "strengths",
    "systems_for_predictors",
    "systems_of",
    "verify_signature",
    "votes_for_difference",
    "votes_for_interval",
    "warmup",
    "with_p1401",
    "with_uncertainty",
    "write_calibration",
]

# Where the public names are, the cheapest first.
_MODULES = (
    *("rows.systems", "rows.records", "rows.read", "rows.join", "rows.pair"),
    *("calibration.record", "calibration.fit"),
    *("agreement", "figures", "interval", "report", "accumulate"),
    *("uncertainty.intervals", "uncertainty.differences", "uncertainty.ceilings", "ranking"),
    *("p1401.mapping", "p1401.figures", "p1401.levels", "p1401.compare"),
    *("ratings", "plan"),
    *("alignment", "signature"),
    *("pairs.rows", "pairs.join", "pairs.strengths", "pairs.report", "pairs.judge"),
)


def __getattr__(name: str) -> object:
    if name in __all__:
        for module in _MODULES:
            value = getattr(importlib.import_module(f"sqa_metrics.{module}"), name, None)
            if value is not None:
                globals()[name] = value
                return value
    raise AttributeError(f"module 'sqa_metrics' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
