"""The command `compare`."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from sqa_metrics.cli.inputs import finish, named, notes_of, once, read
from sqa_metrics.cli.options import (
    INPUT,
    INTERVALS,
    JUDGED,
    P1401,
    ExampleCommand,
    option,
    refuse,
    require_p1401,
    with_options,
)
from sqa_metrics.interval import recipe_name
from sqa_metrics.terminal import say, say_json, width

if TYPE_CHECKING:
    from sqa_metrics.p1401.compare import Comparison
    from sqa_metrics.report import Report
    from sqa_metrics.rows.records import Paired


@click.command(cls=ExampleCommand, short_help="Test whether predictors differ, with intervals.")
@click.argument("preds", nargs=-1, required=True, metavar="PRED PRED...")
@click.option("--unpaired", is_flag=True, help="Predictors scored different utterances of the same systems.")
@option("--baseline", metavar="NAME", help="Compare with this predictor alone.")
@option("--figure", metavar="FIGURE", help="The one that p (Holm) is for: srcc, utterance_srcc, ...")
@with_options(*INPUT, *INTERVALS, *P1401, *JUDGED)
def compare(
    preds: tuple[str, ...],
    unpaired: bool,
    level: float,
    baseline: str | None,
    figure: str | None,
    **options: Any,
) -> None:
    """Test whether predictors differ on the same utterances.

    For every two predictors and every figure: the difference, its interval, a two-sided p-value, and
    the p-value after Holm's correction: over all of them, or with --baseline and --figure over what
    you wanted to know beforehand. PRED is a file or NAME=FILE.

    \b
    Examples:
      sqa-metrics compare --ref ref.jsonl a.jsonl b.jsonl
      sqa-metrics compare --ref ref.jsonl ours=a.jsonl b.jsonl c.jsonl --baseline ours --figure srcc
      sqa-metrics compare --ref ref.jsonl a.jsonl b.jsonl --unpaired --json
    """
    require_p1401(options)
    if unpaired:
        refuse("is of the same utterances; --unpaired takes of each file what it has", "allow_missing")
    predictors = named(preds)
    asked: dict[str, Any] = {"level": level, "baseline": baseline, "figure": figure}
    from sqa_metrics.uncertainty import differences as tests

    if unpaired:
        ref = once(options["ref"])
        parts = [
            read({name: path}, options | {"ref": ref(), "allow_missing": True})
            for name, path in predictors.items()
        ]
        reports, found = tests.compare_unpaired(parts, **asked)
    else:
        paired = read(predictors, options)
        from sqa_metrics.uncertainty.intervals import with_uncertainty
        from sqa_metrics.uncertainty.left_out import left_out

        without = left_out(paired)
        found = tests.compare(paired, **asked, without=without)
        reports = with_uncertainty(paired, level=level, without=without)
    reports = [replace(r, recipe=recipe_name(level)) for r in reports]
    reports, telecom = _by_p1401(None if unpaired else paired, reports, options)
    if options["as_json"]:
        result: dict[str, Any] = {"ref": options["ref"], "predictors": [r.as_dict() for r in reports]}
        result["differences"], result["family"] = [d.as_dict() for d in found], tests.family(found)
        say_json(result | ({"p1401": telecom.as_dict()} if telecom else {}), indent=2)
        finish(reports, [line for line in notes_of(reports) if line in reports[0].remarks], options)
        return
    for r in reports:
        say(f"{r.name}\n{r.table(options['style'], width())}\n", keep="\n")
    say(tests.table(found, level, options["style"], width()), keep="\n")
    notes = [*notes_of(reports), *tests.notes(found)]
    if telecom:
        say("", telecom.table(options["style"], width()), keep="\n")
        notes.append(telecom.caveat)
    finish(reports, notes, options)


def _by_p1401(
    paired: "Paired | None", reports: "list[Report]", options: dict[str, Any]
) -> "tuple[list[Report], Comparison | None]":
    """The reports with what --p1401 adds to them, and its tests."""
    if not options["p1401"]:
        return reports, None
    if paired is None:
        raise click.UsageError("--p1401 judges predictors of the same clips; leave out --unpaired")
    from sqa_metrics.p1401.compare import compare_p1401

    return compare_p1401(paired, reports, mapping=options["mapping"], d=options["freedom"])
