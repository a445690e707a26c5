"""The command `ratings`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sqa_metrics.cli.inputs import columns_of, print_notes
from sqa_metrics.cli.options import (
    COLUMNS,
    LEVEL,
    OUTPUT,
    UTT2SYS,
    ExampleCommand,
    option,
    refuse,
    with_options,
)
from sqa_metrics.terminal import note, say, say_json, width

if TYPE_CHECKING:
    from sqa_metrics.ratings import ListeningTest


READING = [
    option("--metric", default="mos", help="Column of the scores, where there are several."),
    option("--scale", metavar="LOW..HIGH", help="Lowest and highest score that could be given, if unusual."),
    COLUMNS,
    UTT2SYS,
    LEVEL,
]


@click.command(cls=ExampleCommand, short_help="Judge a listening test from its single ratings.")
@click.argument("file")
@with_options(
    *READING,
    option("--systems", is_flag=True, help="A row a system (shown for up to 12 systems anyway)."),
    option("--clips", is_flag=True, help="A row a clip."),
    option("--raters", is_flag=True, help="A row a rater."),
    option("--out", metavar="FILE", help="Write a row a clip, as `score --ref` reads it."),
    option(
        "--estimate",
        type=click.Choice(["mean", "unbiased", "weighted"]),
        default="mean",
        help="MOS to write: the mean, without raters' biases (P.913 12.4), or weighted too (P.910 Annex E).",
    ),
    option("--without-flagged", is_flag=True, help="Write the means without the flagged raters."),
    *OUTPUT,
)
def ratings(
    file: str, metric: str, scale: str | None, utt2sys: str | None, level: float, **options: Any
) -> None:
    """Judge a listening test: raters, MOS with intervals, agreement, biases, ceiling.

    FILE holds single ratings, a row each (sample_id, listener_id, score, and system_id where there are
    systems), in any format that `score` reads, or - for standard input. Raters who stand out are named,
    and what changes without them; none is left out.

    \b
    Examples:
      sqa-metrics ratings ratings.csv
      sqa-metrics ratings ratings.csv --raters --systems
      sqa-metrics ratings ratings.csv --out mos.jsonl --estimate unbiased
      sqa-metrics ratings p835.csv --metric ovr --json
    """
    if options["without_flagged"] and options["estimate"] != "mean":
        raise click.UsageError("--without-flagged writes means; leave --estimate out")
    if options["out"] is None and (options["without_flagged"] or options["estimate"] != "mean"):
        raise click.UsageError("--estimate and --without-flagged say what to write; --out says where")
    from sqa_metrics.ratings import listening_test, read_ratings
    from sqa_metrics.rows.read import read_utt2sys

    systems = read_utt2sys(utt2sys) if utt2sys else None
    found = read_ratings(file, metric, scale=scale, utt2sys=systems, columns=columns_of(options["columns"]))
    if not found.systems:
        refuse(f"needs systems, and {file} names none", "systems")
    test = listening_test(found, level=level, weighted=True if options["estimate"] == "weighted" else None)
    if options["out"]:
        _write(test, file, options)
    _show(test, file, options)


def _show(test: "ListeningTest", file: str, options: dict[str, Any]) -> None:
    from sqa_metrics.ratings import show

    if options["as_json"]:
        say_json({"ratings": file} | show.as_dict(test, clips=options["clips"]), indent=2)
        return
    parts = [show.summary(test, options["style"])]
    few = len(test.ratings.systems) <= show.FEW
    wanted: dict[show.Items, bool] = {
        "systems": bool(test.ratings.systems) and (options["systems"] or few),
        "raters": options["raters"],
        "clips": options["clips"],
    }
    parts += [show.table(test, items, options["style"], width()) for items, asked in wanted.items() if asked]
    say("\n\n".join(parts), keep="\n")
    print_notes(test.notes())


def _write(test: "ListeningTest", file: str, options: dict[str, Any]) -> None:
    import json

    from sqa_metrics.files import write_whole

    out = Path(options["out"])
    if file != "-" and out.exists() and out.samefile(file):
        raise click.UsageError("--out is the file of ratings itself; name another")
    rows = list(test.rows(options["estimate"], without_flagged=options["without_flagged"]))
    write_whole(out, "".join(json.dumps(row) + "\n" for row in rows))
    left = len(test.ratings.clips) - len(rows)
    note(f"{out}: {len(rows)} clips" + (f"; {left} have no vote and are left out" if left else ""))
