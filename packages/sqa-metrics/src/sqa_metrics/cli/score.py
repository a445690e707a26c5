"""The command `score`."""

from typing import Any

import click

from sqa_metrics.cli.inputs import finish, named, read
from sqa_metrics.cli.options import (
    INPUT,
    INTERVALS,
    JUDGED,
    P1401,
    ExampleCommand,
    refuse,
    require_p1401,
    with_options,
)
from sqa_metrics.terminal import say, say_json, width


@click.command(cls=ExampleCommand, short_help="Measure predictions against listeners.")
@with_options(*INPUT, click.option("--pred", required=True, metavar="FILE", help="Predicted scores, or -."))
@click.option("--ci", is_flag=True, help="Add confidence intervals and the ceiling that votes set.")
@with_options(*INTERVALS, *P1401, *JUDGED)
def score(pred: str, ci: bool, level: float, **options: Any) -> None:
    """Measure how well predicted scores agree with listeners.

    Prints MSE, LCC, SRCC and KTAU at the utterance and the system level. Reads JSON Lines
    ({"sample_id", "system_id", "metrics": {"mos": ...}}), CSV, answer lists (utt,score) and Kaldi
    scp. Every utterance of one file must be in the other, once; see --allow-missing.

    \b
    Examples:
      sqa-metrics score --ref ref.jsonl --pred pred.jsonl
      sqa-metrics score --ref ref.jsonl --pred pred.jsonl --ci --json
      sqa-metrics score --ref ref.csv --pred mos.scp --utt2sys utt2sys
      sqa-metrics score --ref ratings.csv --pred pred.jsonl --p1401 --mapping linear
      sqa-metrics score --ref ref.jsonl --pred pred.jsonl --pred-metric scoreq --format latex
    """
    require_p1401(options)
    if not ci:
        refuse("is of intervals; it goes with --ci", "level")
    paired = read(named((pred,)), options)
    if ci:
        from sqa_metrics.uncertainty.intervals import with_uncertainty

        (result,) = with_uncertainty(paired, level=level)
    else:
        from sqa_metrics.report import evaluate

        result = evaluate(paired)
    if options["p1401"]:
        from sqa_metrics.p1401.levels import with_p1401

        result = with_p1401(result, paired, mapping=options["mapping"], d=options["freedom"])
    notes = result.notes()
    if options["as_json"]:
        say_json({"ref": options["ref"], "pred": pred} | result.as_dict(), indent=2)
        notes = list(paired.notes)
    else:
        say(result.table(options["style"], width()), keep="\n")
    finish([result], notes, options)
