"""`sqa-cli data verify`: check manifests and their audio."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sqa_cli import options as o
from sqa_cli.terminal import bars

if TYPE_CHECKING:
    from sqa_data import Verification

# findings of one kind that are printed
SHOWN = 5


@click.command()
@o.manifests
@click.option("--no-decode", is_flag=True, help="Read only the headers of the audio (no leak check).")
@click.option("--jobs", type=click.IntRange(1), default=4, show_default=True, help="Threads.")
@o.json
def verify(manifests: tuple[Path, ...], no_decode: bool, jobs: int, as_json: bool) -> None:
    """Check every line, every file, every sample, and that no clip is in both training and evaluation.

    Exit code 1 if there are errors; warnings alone pass.

    \b
    Examples:
      sqa-cli data verify data/*/*/data.jsonl
      sqa-cli data verify train.jsonl dev.jsonl --json
    """
    from sqa_data.sources.records import remember_verified
    from sqa_data.verify import validate

    with bars() as progress:
        found = validate(manifests, decode=not no_decode, jobs=jobs, progress=progress)
    record = {
        "ok": found.ok,
        "samples": found.samples,
        "hours": found.hours,
        "counts": dict(found.counts),
        "findings": [asdict(finding) for finding in found.findings],
    }
    o.report(as_json, record, _lines(found, len(manifests)))
    if not found.ok:
        raise click.exceptions.Exit(1)
    if not no_decode:
        for path in manifests:
            remember_verified(path)


def _lines(found: "Verification", manifests: int) -> list[str]:
    """The findings by kind, the first of each kind in full."""
    from sqa_data.verify import ERRORS, WARNINGS

    lines = [f"{manifests} manifests, {found.samples:,} samples, {found.hours:.2f} h"]
    for kind, n in found.counts.items():
        what = (ERRORS | WARNINGS)[kind]
        lines.append(f"{'error' if kind in ERRORS else 'warning'}: {kind}: {n:,} ({what})")
        examples = [f for f in found.findings if f.kind == kind][:SHOWN]
        lines += [f"  {f.where}: {f.text}" for f in examples] + (["  ..."] if n > SHOWN else [])
    return [*lines, "ok" if found.ok else "not ok"]
