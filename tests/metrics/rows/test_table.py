"""What a value may be, alike for files and for objects in memory."""

import io
import math
from decimal import Decimal
from typing import Any

import pytest
from sqa_metrics import MetricsError, pair, read_scores
from sqa_metrics.rows.table import of_columns


@pytest.mark.parametrize("value", [True, "x", "1_0", "٣", 1j, [1], Decimal("1e300"), 10**400])
def test_what_is_no_number_is_told_with_its_place(value: Any) -> None:
    table = of_columns("f.csv", {"mos": [1.0, value]}, [2, 3])
    with pytest.raises(MetricsError, match=r"f\.csv:3: mos is .*, expected a number"):
        table.numbers("mos", table.column("mos"))


def test_numbers_of_any_spelling() -> None:
    table = of_columns("f.csv", {"mos": [1, 2.5, "3.5", " 4e0 ", None, Decimal("1.25"), "inf"]}, range(7))
    found = table.numbers("mos", table.column("mos"))
    assert str(found) == "[1.0, 2.5, 3.5, 4.0, nan, 1.25, inf]"


@pytest.mark.parametrize("value", [True, 1.0, [], b"a"])
def test_ids_are_text_or_whole_numbers(value: Any) -> None:
    table = of_columns("ref", {"id": ["a", value]}, range(2), in_memory=True)
    with pytest.raises(MetricsError, match=r"ref\[1\]: id is .*, expected text or a 64-bit integer"):
        table.texts("id")
    assert of_columns("ref", {"id": ["a", 7, None]}, range(3)).texts("id") == ["a", "7", ""]


@pytest.mark.parametrize("bad", ["x", "1_0"])
def test_few_texts_many_times_are_read_once_each(bad: str) -> None:
    texts: list[str | None] = ["1", "2.5", None, " 3 ", "nan"] * 500
    table = of_columns("f.csv", {"mos": texts}, range(2, 2502))
    expected = [1.0, 2.5, math.nan, 3.0, math.nan] * 500
    assert str(table.numbers("mos", texts)) == str(expected)
    texts[1500] = texts[1900] = bad
    texts[1700] = "y"
    with pytest.raises(MetricsError, match=rf"f\.csv:1502: mos is '{bad}', expected a number"):
        table.numbers("mos", texts)


@pytest.mark.parametrize("name", ["votes", "mos_std"])
def test_votes_and_deviations_are_not_negative(name: str) -> None:
    ref = f"sample_id,mos,{name}\na,1,2\nb,2,-3\n".encode()
    with pytest.raises(MetricsError, match=rf"<file>:3: {name} is -3, expected 0 or more"):
        read_scores(io.BytesIO(ref), role="ref")
    with pytest.raises(MetricsError, match=rf"\[1\]: {name} is -3, expected 0 or more"):
        pair([1.0, 2.0], {"p": [1.0, 2.0]}, **{name: [2, -3]})
