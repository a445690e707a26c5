"""Signatures: what they say, and what differs from a quoted one."""

import importlib.metadata
import io
import re
from dataclasses import replace

import pytest
import sqa_metrics
from sqa_metrics import MetricsError, evaluate, pair
from sqa_metrics.alignment import align
from sqa_metrics.p1401.levels import with_p1401
from sqa_metrics.rows.records import Paired
from sqa_metrics.signature import line, signature, verify_signature

HEAD = "corpus,system_id,sample_id,mos\n"


def joined(corpora: tuple[str, ...] = ("",), rows: int = 24, missing: int = 0) -> Paired:
    table = [f"{c},s{k % 8},u{k},{1 + (k * 7 % 11) / 3}" for c in corpora for k in range(rows)]
    ref, pred = ("\n".join([HEAD.strip(), *part]).encode() for part in (table, table[missing:]))
    return pair(io.BytesIO(ref), {"p": io.BytesIO(pred)}, allow_missing=missing > 0)


def fields(text: str) -> dict[str, str]:
    return dict(part.split(":") for part in text.split("|")[1:])


def test_the_version_is_that_of_the_package() -> None:
    assert sqa_metrics.__version__ == importlib.metadata.version("sqa-metrics")


def test_what_a_signature_says() -> None:
    text = evaluate(joined()).signature
    expected = (
        rf"sqa\|v:{re.escape(sqa_metrics.__version__)}\|metric:mos\|level:utt\+sys\|map:none\|cov:24/24"
    )
    assert re.fullmatch(expected + r"\|sys:8\|ci:none\|ref:[0-9a-f]{8}", text)
    assert fields(signature(evaluate(joined()), "t90"))["ci"] == "t90"


def test_what_matters_only_sometimes() -> None:
    paired = joined(("x", "y"), missing=4)
    report = with_p1401(evaluate(align(paired, "offset")), paired, mapping="linear", d=1)
    found, whole = fields(report.signature), fields(evaluate(joined(("x", "y"))).signature)
    assert (found["corpora"], found["align"], found["map"], found["cov"]) == (
        "2",
        "offset",
        "linear-d1",
        "44/48",
    )
    assert found["ref"] == whole["ref"] != found["rows"]
    assert not {"align", "rows"} & set(whole)


def test_only_the_whole_is_signed() -> None:
    report = evaluate(joined(("x", "y")))
    assert "signature" in report.as_dict()
    assert "signature" not in report.as_dict()["corpora"]["x"]
    with pytest.raises(MetricsError, match="take that of the whole report"):
        _ = report.corpora["x"].signature


def test_marks_in_names_do_not_part_fields() -> None:
    report = evaluate(joined())
    assert report.origin is not None
    odd = replace(report, origin=report.origin._replace(metric="a|b c"))
    assert fields(odd.signature)["metric"] == "a_b_c"


def test_a_quoted_signature_may_stand_in_marks() -> None:
    text = evaluate(joined()).signature
    verify_signature(text, f" {line(text, 'markdown')}\n")
    assert line(text, "latex") == f"% {text}"
    assert line("sqa|metric:<b>", "html") == "<div>sqa|metric:&lt;b&gt;</div>"


def test_what_differs_is_told_in_one_sentence() -> None:
    here, quoted = evaluate(joined(missing=2)).signature, evaluate(joined(rows=20)).signature
    with pytest.raises(MetricsError) as caught:
        verify_signature(here, quoted)
    text = str(caught.value)
    assert text.startswith(
        "the signature differs: cov 22/24 here, 20/20 quoted (another share of the reference"
    )
    assert "(other ids or scores in the reference)" in text
    assert "none quoted (other utterances scored)" in text
    assert "\n" not in text


@pytest.mark.parametrize("quoted", ["", "sqa", "bleu|v:1", "sqa|v", "sqa|v:", "1a2b3c4d"])
def test_what_is_no_signature(quoted: str) -> None:
    with pytest.raises(MetricsError, match=r"is no signature; expected one as sqa-metrics prints it"):
        verify_signature(evaluate(joined()).signature, quoted)
