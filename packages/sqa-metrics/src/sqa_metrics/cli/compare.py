"""The command `compare`."""

import math
from typing import TYPE_CHECKING, Any

import click

from sqa_metrics.cli.inputs import finish, named, notes_of, once, read
from sqa_metrics.cli.options import (
    CONDITIONS,
    INPUT,
    OUTPUT,
    P1401,
    RESAMPLING,
    ExampleCommand,
    method,
    with_options,
)
from sqa_metrics.terminal import say, say_json, width

if TYPE_CHECKING:
    from sqa_metrics.p1401.compare import Comparison
    from sqa_metrics.report import Report
    from sqa_metrics.rows.records import Paired


@click.command(cls=ExampleCommand, short_help="Test whether predictors differ, with intervals.")
@click.argument("preds", nargs=-1, required=True, metavar="PRED PRED...")
@click.option("--unpaired", is_flag=True, help="Predictors scored different utterances of the same systems.")
@with_options(*INPUT, *RESAMPLING, method(default="percentile"), *P1401, *CONDITIONS, *OUTPUT)
def compare(
    preds: tuple[str, ...],
    unpaired: bool,
    resamples: int,
    seed: int,
    level: float,
    method: Any,
    **options: Any,
) -> None:
    """Test whether predictors differ on the same utterances.

    For every two predictors and every figure: the difference, its bootstrap interval, a two-sided
    p-value and the p-value after Holm's correction over the pairs. PRED is a file or NAME=FILE.

    \b
    Examples:
      sqa-metrics compare --ref ref.jsonl a.jsonl b.jsonl
      sqa-metrics compare --ref ref.jsonl ours=a.jsonl theirs=b.jsonl --resamples 10000 --json
      sqa-metrics compare --ref ref.jsonl a.jsonl b.jsonl --unpaired
    """
    predictors = named(preds)
    bootstrap: dict[str, Any] = {"n_resamples": resamples, "seed": seed, "level": level, "method": method}
    if unpaired:
        ref = once(options["ref"])
        parts = [
            read({name: path}, options | {"ref": ref(), "allow_missing": True})
            for name, path in predictors.items()
        ]
        from sqa_metrics.uncertainty import compare_unpaired

        reports, differences = compare_unpaired(parts, **bootstrap)
    else:
        paired = read(predictors, options)
        from sqa_metrics.uncertainty import compare, with_uncertainty

        reports = with_uncertainty(paired, **bootstrap | {"method": "bca"})
        differences = compare(paired, **bootstrap)
    reports, telecom = _by_p1401(None if unpaired else paired, reports, options)
    if options["as_json"]:
        result: dict[str, Any] = {"ref": options["ref"], "predictors": [r.as_dict() for r in reports]}
        result["differences"] = [d.as_dict() for d in differences]
        say_json(result | ({"p1401": telecom.as_dict()} if telecom else {}), indent=2)
        finish(reports, [line for line in notes_of(reports) if line in reports[0].remarks], options)
        return
    for r in reports:
        say(f"{r.name}\n{r.table(options['style'], width())}\n", keep="\n")
    from sqa_metrics.uncertainty import table

    say(table(differences, level, options["style"], width()), keep="\n")
    notes = notes_of(reports)
    if telecom:
        say("", telecom.table(options["style"], width()), keep="\n")
        notes.append(telecom.caveat)
    pairs = len(reports) * (len(reports) - 1) // 2
    if 2 * pairs / (resamples + 1) > 1 - level:
        needed = math.ceil(4 * pairs / (1 - level))
        notes.append(f"with {pairs} pairs no p (Holm) can be small; take --resamples {needed} or more")
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
