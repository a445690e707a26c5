"""The command `rank`."""

from typing import Any

import click

from sqa_metrics.cli.inputs import finish, named, notes_of, read
from sqa_metrics.cli.options import CONDITIONS, INPUT, OUTPUT, RESAMPLING, ExampleCommand, with_options
from sqa_metrics.terminal import say, say_json, width


@click.command(cls=ExampleCommand, short_help="Rank predictors as the challenge does.")
@click.argument("preds", nargs=-1, required=True, metavar="PRED PRED...")
@with_options(*INPUT, *RESAMPLING, *CONDITIONS, *OUTPUT)
def rank(preds: tuple[str, ...], resamples: int, seed: int, level: float, **options: Any) -> None:
    """Rank predictors as the challenge does, with the certainty of each place.

    Dense rank for each of the eight figures, mean inside Error, Linear and Rank, mean of the three
    (lower is better). Place intervals and P(first) are from the bootstrap. PRED is a file or NAME=FILE.

    \b
    Examples:
      sqa-metrics rank --ref ref.jsonl team1.jsonl team2.jsonl team3.jsonl
      sqa-metrics rank --ref ref.jsonl submissions/*.scp --format markdown
    """
    paired = read(named(preds), options)
    from sqa_metrics.ranking import rank, table

    places = rank(paired, n_resamples=resamples, seed=seed, level=level)
    reports, recipe = [p.report for p in places], f"percentile-n{resamples}-s{seed}-{100 * level:g}"
    notes = notes_of(reports)
    if options["as_json"]:
        from sqa_metrics.signature import signature

        signed = {"signature": signature(reports[0], recipe)}
        say_json({"ref": options["ref"]} | signed | {"ranking": [p.as_dict() for p in places]}, indent=2)
        notes = [line for line in notes if line in paired.notes]
    else:
        say(table(places, level, options["style"], width()), keep="\n")
    finish(reports, notes, options, recipe)
