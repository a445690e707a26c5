"""`sqa-cli data stats`: what manifests hold, in numbers and histograms."""

from pathlib import Path
from typing import Any

import click

from sqa_cli import options as o
from sqa_cli.terminal import say, say_json, table

HEADER = ["corpus", "split", "samples", "systems", "hours", "kHz", "MOS", "std", "min", "max"]
HEADER += ["votes", "median", "most", "other labels"]
NUMBERS = "samples systems hours MOS std min max votes median most"


@click.command()
@o.manifests
@click.option("--plot", is_flag=True, help="Draw histograms of MOS and duration.")
@o.json
def stats(manifests: tuple[Path, ...], plot: bool, as_json: bool) -> None:
    """Samples, systems, hours, rates, opinions and votes, one line a corpus and split.

    The column "votes" is the smallest number of votes of a clip, "most" the largest.
    """
    from sqa_data.stats import bars, statistics

    found = [item.as_dict() for item in statistics(manifests)]
    if as_json:
        say_json(found)
        return
    say(*table(HEADER, [_cells(part) for part in found], right=NUMBERS, keys=2))
    for part in found if plot else ():
        for what, title in (("mos", "MOS"), ("duration_s", "duration, s")):
            say("", f"{part['corpus'] or ''} {part['split'] or ''}: {title}")
            say(*bars(part[what]["counts"], part[what]["edges"]))


def _cells(part: dict[str, Any]) -> list[str]:
    """The row of one corpus and split."""
    rates = ", ".join(f"{int(rate) / 1000:g}" for rate in part["sample_rates"] if rate != "None")
    return [
        part["corpus"] or "",
        part["split"] or "",
        o.count(part["samples"]),
        o.count(part["systems"]),
        o.number(part["hours"]),
        rates,
        *(o.number(part["mos"][key]) for key in ("mean", "std", "min", "max")),
        *(o.number(part["votes"][key], 0) for key in ("min", "median", "max")),
        ", ".join(label for label in part["labels"] if label != "mos"),
    ]
