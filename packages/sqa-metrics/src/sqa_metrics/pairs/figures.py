"""Figures of pairs beside the four of `agreement`: how often a predictor prefers the clip that listeners prefer.

Above 0 the first clip of a pair is better. Reference first, always; each argument holds n pairs.
"""

import math

import numpy as np

from sqa_metrics.distributions import t_quantile

APART = 0.05  # p below which listeners told two clips apart


def accuracy(ref: np.ndarray, pred: np.ndarray, *, ref_epsilon: float = 0.0) -> float:
    """Share of the pairs that listeners did not tie whose better clip is predicted; a predicted tie is wrong.

    0 to 1; NaN where listeners tied all. A listeners' tie is |ref| <= ref_epsilon.

    >>> accuracy(np.array([1.0, -2.0, 0.0, 0.5]), np.array([0.5, 1.0, 0.2, 0.1]))
    0.6666666666666666
    """
    decided = np.abs(ref) > ref_epsilon
    return float(np.mean(np.sign(ref[decided]) == np.sign(pred[decided]))) if decided.any() else math.nan


def accuracy_with_ties(
    ref: np.ndarray, pred: np.ndarray, *, epsilon: float = 0.0, ref_epsilon: float = 0.0
) -> float:
    """Share of all pairs that are in the same of three classes: the first is better, the second is, a tie.

    A predicted tie is |pred| <= epsilon, to be chosen on other data (Deutsch, Foster & Freitag 2023, "Ties matter:
    meta-evaluating modern metrics with pairwise accuracy and tie calibration"). 0 to 1.

    >>> accuracy_with_ties(np.array([1.0, -2.0, 0.0, 0.5]), np.array([0.5, 1.0, 0.2, 0.1]), epsilon=0.2)
    0.5
    """
    classes = [np.sign(v) * (np.abs(v) > tie) for v, tie in ((ref, ref_epsilon), (pred, epsilon))]
    return float(np.mean(classes[0] == classes[1])) if len(ref) else math.nan


def told_apart(ref: np.ndarray, std: np.ndarray, votes: np.ndarray) -> np.ndarray:
    """Whether listeners told the clips of each pair apart: 1 or 0, NaN where the votes do not say.

    Student's test of the mean of `votes` votes with sample standard deviation `std` against 0, p < .05. Votes that all
    agree have no deviation: the sign test then, which asks for 6 of them.

    >>> told_apart(np.array([1.0, 0.2, 1.0, 1.0]), np.array([1.0, 1.0, 0.0, np.nan]), np.array([8, 8, 3, 1])).tolist()
    [1.0, 0.0, 0.0, nan]
    """
    result = np.full(len(ref), math.nan)
    for n in np.unique(votes[(votes >= 2) & np.isfinite(votes)]).tolist():
        rows = (votes == n) & np.isfinite(std)
        bound = t_quantile(1 - APART / 2, n - 1) * std[rows] / math.sqrt(n)
        agreed = (std[rows] > 0) | (2 * 0.5**n < APART)
        result[rows] = (np.abs(ref[rows]) > bound) & agreed
    return result


def auc_apart(pred: np.ndarray, apart: np.ndarray) -> float:
    """How well |pred| parts the pairs that listeners told apart from the others: area under the ROC curve.

    0.5 by chance, 1 at best (Krasula, Fliegel, Le Callet & Klima 2016, "On the accuracy of objective image and video
    quality models: new methodology for performance evaluation"). NaN where one of the two kinds is missing.

    >>> auc_apart(np.array([0.5, -2.0, 0.1]), np.array([0.0, 1.0, 0.0]))
    1.0
    """
    far, near = np.abs(pred[apart == 1]), np.sort(np.abs(pred[apart == 0]))
    if not far.size or not near.size:
        return math.nan
    below = np.searchsorted(near, far, "left") + np.searchsorted(near, far, "right")
    return float(below.sum() / (2 * far.size * near.size))
