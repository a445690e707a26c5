"""`sqa-cli data annotate`: metric labels for a corpus."""

import dataclasses
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sqa_cli import options as o
from sqa_cli.terminal import bars, goes_on, note, say, say_json, table

if TYPE_CHECKING:
    from sqa_data.annotate.run import Summary
    from sqa_data.labellers import Adapter
    from sqa_data.shares import Share

# errors and warnings that are printed; all are in OUT.errors.jsonl and OUT.warnings.jsonl
SHOWN = 5


@click.command()
@click.argument("manifest", type=o.FILE_HERE, required=False)
@click.option(
    "--metrics",
    "-m",
    help="Labels to add, separated by commas; see --list. LABEL=METRIC stores under another name.",
)
@click.option("--out", "-o", type=o.FILE, help="Default: MANIFEST.labelled.jsonl")
@click.option(
    "--reference",
    type=click.Path(exists=True, path_type=Path),
    help="Clean speech: folder (same names) or manifest (same ids) [default: reference_path].",
)
@click.option(
    "--jobs",
    "-j",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Clips at once, one process and one thread each.",
)
@click.option("--device", default="cpu", show_default=True, help="Where networks run: cpu, cuda, cuda:1.")
@click.option(
    "--fast", is_flag=True, help="Lower precision where a metric offers it (bfloat16; kept apart in the log)."
)
@o.shard("Do part I (from 1) of N; the last to finish writes the manifest. Default under torchrun.")
@click.option("--overwrite", is_flag=True, help="Also replace labels that the manifest already has.")
@click.option("--retry-errors", is_flag=True, help="Try clips again that failed before.")
@click.option("--relative", is_flag=True, help="Write audio paths relative to the new manifest.")
@click.option(
    "--no-compute", is_flag=True, help="Compute nothing: write the manifest from what is in the log."
)
@click.option(
    "--list",
    "list_",
    is_flag=True,
    help="Show every metric: what it hears and gives, whose it is, what it was held against.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def annotate(
    manifest: Path | None,
    metrics: str | None,
    shard: "Share | None",
    no_compute: bool,
    list_: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Add quality-metric labels to MANIFEST.

    Values equal those of each metric's own package. Stop it at any time: the same command goes on where it
    stopped. A clip that fails has a row in OUT.errors.jsonl, and the exit code is 1. Every metric hears the mean
    of the channels; what may mislead (clipping, a clip that lags behind its reference) is in OUT.warnings.jsonl.

    \b
    Examples:
      sqa-cli data annotate train.jsonl -m distill_mos,dnsmos_ovrl --jobs 8
      sqa-cli data annotate test.jsonl -m pesq,estoi,sdr --reference clean/
      sqa-cli data annotate big.jsonl -m distill_mos --shard 1/4     # on the first of four machines
      torchrun --nproc-per-node 4 -m sqa_cli data annotate big.jsonl -m utmos --device cuda
      sqa-cli data annotate --list
    """
    from sqa_data.annotate.run import annotate as run
    from sqa_data.shares import Share

    if list_:
        _list(as_json)
        return
    if manifest is None or not metrics:
        raise click.UsageError("give MANIFEST and --metrics, or --list")
    names = [name.strip() for name in metrics.split(",") if name.strip()]
    share = shard or Share.of_environment()
    with goes_on(), bars() as show:
        summary = run(
            manifest,
            names,
            share=share,
            compute=not no_compute,
            progress=lambda done, total: show("clips", done, total),
            **options,
        )
    if as_json:
        say_json(dataclasses.asdict(summary) | {"out": None if summary.out is None else str(summary.out)})
    elif summary.out is None:
        _say_part(summary, share)
    else:
        _say_summary(summary)
    if summary.errors:
        sys.exit(1)


def _say_part(summary: "Summary", share: "Share") -> None:
    """What a part of the work did that is not the last to finish."""
    rest = (
        f"{summary.missing} results of other parts are missing: run those again"
        if summary.missing
        else "the last part to finish writes the manifest"
    )
    part = f"part {share.index} of {share.count}"
    say(f"{part}: {summary.clips} clips, {len(summary.errors)} with an error; {rest}")


def _say_summary(summary: "Summary") -> None:
    """Labels, errors and what is missing in a manifest that was written."""
    for label, count in summary.labelled.items():
        say(f"{label:14} {count:7} of {summary.clips} clips")
    if summary.no_reference:
        say(f"{summary.no_reference} clips have no reference: no full-reference labels")
    for kind, rows in (("error", summary.errors), ("warning", summary.warnings)):
        for row in rows[:SHOWN]:
            note(f"{kind}: {row['sample_id']}: {row[kind]}")
        if len(rows) > SHOWN:
            note(f"... {len(rows) - SHOWN} more {kind}s in {summary.out}.{kind}s.jsonl")
    if summary.missing:
        say(f"{summary.missing} results are not computed yet")
    say(f"wrote {summary.out}")


def _list(as_json: bool) -> None:
    """Every metric: what it hears and gives, whose it is, what it was held against, or how to install it."""
    from sqa_data.labellers import ADAPTERS, CHANNELS

    rows: list[dict[str, Any]] = []
    for adapter in ADAPTERS:
        for label in adapter.labels:
            low, high = adapter.bounds_of(label)
            rows.append(
                {
                    "metric": label,
                    "needs": "reference" if adapter.needs_reference else "clip alone",
                    "channels": CHANNELS,
                    "rate": adapter.rate,
                    "lowest": low if math.isfinite(low) else None,
                    "highest": high if math.isfinite(high) else None,
                    "source": adapter.source,
                    "package": adapter.distribution,
                    "verified": adapter.verified,
                    **_installed(adapter),
                }
            )
    if as_json:
        say_json(rows)
        return
    say(*table([*COLUMNS], [[show(row) for show in COLUMNS.values()] for row in rows]), "")
    say("Every metric hears the mean of the channels; silence has no label.", "")
    say(*(f"{row['metric']}: {row['install']}" for row in rows if row["install"]))


def _installed(adapter: "Adapter") -> dict[str, str | None]:
    """The version of an adapter, or what installs it."""
    from sqa_data import DataError

    try:
        return {"version": adapter.version(), "install": None}
    except DataError:
        return {"version": None, "install": adapter.install}


# column of the table -> its text
COLUMNS: dict[str, Callable[[dict[str, Any]], str]] = {
    "metric": lambda row: row["metric"],
    "needs": lambda row: "pair" if row["needs"] == "reference" else "clip",
    "gives": lambda row: "..".join("" if row[k] is None else f"{row[k]:g}" for k in ("lowest", "highest")),
    "at": lambda row: row["rate"],
    "source": lambda row: row["source"],
    "version": lambda row: row["version"] or "not installed",
    "held against": lambda row: row["verified"],
}
