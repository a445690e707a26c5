"""`sqa-cli data prepare`: archives become manifests."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sqa_cli import options as o
from sqa_cli.terminal import bars

if TYPE_CHECKING:
    from sqa_data import Prepared


@click.command()
@click.argument("names", nargs=-1, required=True)
@o.raw
@o.out_folder
@click.option("--partial", is_flag=True, help="Leave out what is missing or broken instead of stopping.")
@click.option("--force", is_flag=True, help="Overwrite manifests that were edited since.")
@o.relative
@click.option("--jobs", type=click.IntRange(1), default=4, show_default=True, help="Threads.")
@o.json
def prepare(
    names: tuple[str, ...],
    raw: Path,
    out: Path,
    partial: bool,
    force: bool,
    relative: bool,
    jobs: int,
    as_json: bool,
) -> None:
    """Make OUT/NAME/SPLIT/data.jsonl of what lies in RAW/NAME/ (archives, or what they unpack to).

    MOS is the mean of the ratings, with votes and spread; the ratings themselves go to ratings.jsonl where they are
    published. What does not fit together is listed in OUT/NAME/problems.jsonl.

    \b
    Examples:
      sqa-cli data prepare somos nisqa --raw raw --out data
      sqa-cli data prepare bvcc --partial
    """
    from sqa_data.prepare import prepare as prepare_corpus

    records, lines = [], []
    for name in names:
        with bars() as progress:
            done = prepare_corpus(
                name, raw, out, partial=partial, jobs=jobs, relative=relative, force=force, progress=progress
            )
        records += _records(done)
        lines += _lines(done)
    o.report(as_json, records, lines)


def _records(done: "Prepared") -> list[dict[str, object]]:
    """One record a manifest, for programs."""
    return [
        {
            "corpus": done.corpus,
            "split": split,
            "manifest": str(path),
            "samples": done.counts[split].samples,
            "systems": len(done.counts[split].systems) or None,
            "hours": done.counts[split].hours,
            "ratings": done.counts[split].ratings,
            "problems": done.problems,
            "notes": done.notes,
        }
        for split, path in done.manifests.items()
    ]


def _lines(done: "Prepared") -> list[str]:
    """What was written and what was left out of it, for people."""
    lines = []
    for split, path in done.manifests.items():
        count = done.counts[split]
        systems = f", {len(count.systems):,} systems" if count.systems else ""
        lines.append(f"{path}: {count.samples:,} samples{systems}, {count.hours:.2f} h")
    lines += [f"  left out or odd: {n:,} {kind}" for kind, n in done.problems.items()]
    return lines + [f"  note: {text}" for text in done.notes]
