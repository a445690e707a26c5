"""The command `rank`."""

from typing import Any

import click

from sqa_metrics.cli.inputs import finish, named, notes_of, read
from sqa_metrics.cli.options import INPUT, INTERVALS, JUDGED, ExampleCommand, with_options
from sqa_metrics.interval import recipe_name
from sqa_metrics.terminal import say, say_json, width


@click.command(cls=ExampleCommand, short_help="Rank predictors as the challenge does.")
@click.argument("preds", nargs=-1, required=True, metavar="PRED PRED...")
@with_options(*INPUT, *INTERVALS, *JUDGED)
def rank(preds: tuple[str, ...], level: float, **options: Any) -> None:
    """Rank predictors as the challenge does, with the certainty of each place.

    Dense rank for each of the eight figures, mean inside Error, Linear and Rank, mean of the three
    (lower is better). Beside each place stand those that tests of every two predictors in every
    figure leave open. PRED is a file or NAME=FILE.

    \b
    Examples:
      sqa-metrics rank --ref ref.jsonl team1.jsonl team2.jsonl team3.jsonl
      sqa-metrics rank --ref ref.jsonl submissions/*.scp --format markdown
    """
    paired = read(named(preds), options)
    from sqa_metrics.ranking import rank, table

    places = rank(paired, level=level)
    reports = [p.report for p in places]
    recipe, notes = recipe_name(level), notes_of(reports)
    if options["as_json"]:
        from sqa_metrics.signature import signature

        signed = {"signature": signature(reports[0], recipe)}
        say_json({"ref": options["ref"]} | signed | {"ranking": [p.as_dict() for p in places]}, indent=2)
        notes = [line for line in notes if line in paired.notes]
    else:
        say(table(places, level, options["style"], width()), keep="\n")
    finish(reports, notes, options, recipe)
