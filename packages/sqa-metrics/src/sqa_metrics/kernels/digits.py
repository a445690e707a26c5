# mypy: disable-error-code="arg-type, assignment, call-arg, no-any-return, return-value"
"""JSON numbers in bytes, compiled: where one ends, and the nearest float64 where that is sure."""

import numpy as np

from sqa_metrics.kernels.compiled import compiled

MINUS, PLUS, POINT, ZERO, NINE, SMALL_E, LARGE_E = (ord(c) for c in "-+.09eE")
POWERS = 10.0 ** np.arange(23)  # exact in float64


@compiled
def end_of_number(data: np.ndarray, at: int) -> int:
    """A number as JSON spells it: -? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?"""
    if at < data.size and data[at] == MINUS:
        at += 1
    start, at = at, _digits(data, at)
    if at == start or (data[start] == ZERO and at > start + 1):
        return -1
    if at < data.size and data[at] == POINT:
        start, at = at + 1, _digits(data, at + 1)
        if at == start:
            return -1
    if at < data.size and (data[at] == SMALL_E or data[at] == LARGE_E):
        at += 1
        if at < data.size and (data[at] == MINUS or data[at] == PLUS):
            at += 1
        start, at = at, _digits(data, at)
        if at == start:
            return -1
    return at


@compiled
def _digits(data: np.ndarray, at: int) -> int:
    while at < data.size and ZERO <= data[at] <= NINE:
        at += 1
    return at


@compiled
def number_at(data: np.ndarray, start: int, stop: int, powers: np.ndarray) -> tuple[float, bool]:
    """(value, whether it is surely the float64 nearest to the digits) of the number in [start, stop).

    digits / 10^k, with up to 19 digits as hi + lo and a quotient of doubled precision (Dekker 1971); sure unless
    what was rounded away lies too near half a unit in the last place. Exponents, which are rare, are not tried.
    """
    negative = data[start] == MINUS
    digits, nend_of_number, places = np.uint64(0), 0, -1
    for at in range(start + negative, stop):
        c = data[at]
        if c == POINT:
            places = 0
        elif c == SMALL_E or c == LARGE_E:
            return np.nan, False
        else:
            digits = digits * np.uint64(10) + np.uint64(c - ZERO)
            nend_of_number += nend_of_number > 0 or c > ZERO
            places += places >= 0
    if nend_of_number > 19 or places > 22:
        return np.nan, False
    hi, lo = np.float64(digits), 0.0
    if digits > np.uint64(1 << 53):  # lo = digits - hi, exact: hi is a whole number, below 2^64 as tested
        lo = np.float64(np.int64(digits - np.uint64(hi))) if hi < 1.8e19 else np.nan
    value, exact = hi, lo == 0.0
    if places > 0:
        power = powers[places]
        quotient = hi / power
        product, error = _two_product(quotient, power)
        rest = (((hi - product) - error) + lo) / power
        value = quotient + rest
        away = abs((quotient - value) + rest)
        unit = abs(value) * 2.220446049250313e-16  # between one and two units in the last place
        # A value is surely right if what was rounded away is clearly under half of any unit it can mean.
        exact = bool(away < 0.2499 * unit or lo == 0.0)
    return -value if negative else value, exact


@compiled
def _two_product(a: float, b: float) -> tuple[float, float]:
    """a * b as product + error, exactly (Veltkamp's split; no fused multiply-add is assumed)."""
    product = a * b
    t = 134217729.0 * a
    a_hi = t - (t - a)
    t = 134217729.0 * b
    b_hi = t - (t - b)
    a_lo, b_lo = a - a_hi, b - b_hi
    return product, ((a_hi * b_hi - product) + a_hi * b_lo + a_lo * b_hi) + a_lo * b_lo
