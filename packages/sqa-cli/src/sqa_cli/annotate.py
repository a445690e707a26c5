"""`sqa-cli data annotate` and `sqa-cli data degrade`: metric labels for a corpus, and a corpus to label."""

import dataclasses
import json
import os
import sys
from pathlib import Path

import click


@click.command()
@click.argument("manifest", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=False)
@click.option(
    "--metrics",
    "-m",
    help="Labels to add, separated by commas; see --list. LABEL=METRIC stores under another name.",
)
@click.option(
    "--out", "-o", type=click.Path(dir_okay=False, path_type=Path), help="Default: MANIFEST.labelled.jsonl"
)
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
@click.option(
    "--shard",
    metavar="I/N",
    help="Do part I (from 1) of N; the last to finish writes the manifest. Default under torchrun.",
)
@click.option("--overwrite", is_flag=True, help="Also replace labels that the manifest already has.")
@click.option("--retry-errors", is_flag=True, help="Try clips again that failed before.")
@click.option("--relative", is_flag=True, help="Write audio paths relative to the new manifest.")
@click.option(
    "--no-compute", is_flag=True, help="Compute nothing: write the manifest from what is in the log."
)
@click.option(
    "--list", "list_", is_flag=True, help="Show every metric, what it needs and whether it is installed."
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def annotate(
    manifest: Path | None, metrics: str | None, out: Path | None, reference: Path | None, jobs: int, device:
    str, fast: bool, shard: str | None, overwrite: bool, retry_errors: bool, relative: bool, no_compute: bool,
    list_: bool, as_json: bool,
) -> None:  # fmt: skip
    """Add quality-metric labels to MANIFEST.

    Values equal those of each metric's own package. Stop it at any time: the same command goes on where it
    stopped.

    \b
    Examples:
      sqa-cli data annotate train.jsonl -m distill_mos,dnsmos_ovrl --jobs 8
      sqa-cli data annotate test.jsonl -m pesq,estoi,sdr --reference clean/
      sqa-cli data annotate big.jsonl -m distill_mos --shard 1/4     # on the first of four machines
      torchrun --nproc-per-node 4 -m sqa_cli data annotate big.jsonl -m utmos --device cuda
      sqa-cli data annotate --list
    """
    from sqa_data.annotate import run as library
    from sqa_data.labellers import ADAPTERS

    if list_:
        _list(ADAPTERS, as_json)
        return
    if manifest is None or not metrics:
        raise click.UsageError("give MANIFEST and --metrics, or --list")
    part = _shard(shard) if shard else library.shard_of_environment()
    try:
        with _Progress("clips") as progress:
            summary = library.annotate(
                manifest,
                [name.strip() for name in metrics.split(",") if name.strip()],
                out=out,
                reference=reference,
                jobs=jobs,
                device=device,
                fast=fast,
                shard=part,
                overwrite=overwrite,
                retry_errors=retry_errors,
                relative=relative,
                compute=not no_compute,
                progress=progress,
            )
    except KeyboardInterrupt:
        click.echo("stopped; what is done is kept: the same command goes on from here", err=True)
        sys.exit(130)
    if as_json:
        record = dataclasses.asdict(summary)
        record["out"] = None if summary.out is None else str(summary.out)
        click.echo(json.dumps(record))
    elif summary.out is None:
        assert part is not None
        click.echo(
            f"part {part[0]} of {part[1]}: {summary.clips} clips, {len(summary.errors)} with an error; "
            + (f"{summary.missing} results of other parts are missing: run those again" if summary.missing else
               "the last part to finish writes the manifest")
        )  # fmt: skip
    else:
        for label, count in summary.labelled.items():
            click.echo(f"{label:14} {count:7} of {summary.clips} clips")
        if summary.no_reference:
            click.echo(f"{summary.no_reference} clips have no reference: no full-reference labels")
        for row in summary.errors[:5]:
            click.echo(f"error: {row['sample_id']}: {row['error']}", err=True)
        if len(summary.errors) > 5:
            click.echo(f"... {len(summary.errors) - 5} more errors in {summary.out}.errors.jsonl", err=True)
        if summary.missing:
            click.echo(f"{summary.missing} results are not computed yet")
        click.echo(f"wrote {summary.out}")
    if summary.clips and summary.errors and not any(summary.labelled.values()):
        sys.exit(1)  # nothing at all came out


@click.command()
@click.argument("speech", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--noise",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of noises.",
)
@click.option(
    "--out",
    "-o",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="New folder.",
)
@click.option(
    "--train", type=click.IntRange(0), default=1000, show_default=True, help="Clips to make of each split."
)
@click.option("--dev", type=click.IntRange(0), default=100, show_default=True)
@click.option("--test", type=click.IntRange(0), default=200, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option(
    "--max-seconds", type=click.FloatRange(0.5), default=5.0, show_default=True, help="Longest clip."
)
@click.option(
    "--held-out",
    help="Kinds for the test split alone. [default: babble,gate,gsm,loss-pitch]",
)
@click.option("--jobs", "-j", type=click.IntRange(1), default=1, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the manifests' paths as JSON.")
def degrade(
    speech: Path, noise: Path | None, out: Path, train: int, dev: int, test: int, seed: int, max_seconds:
    float, held_out: str | None, jobs: int, as_json: bool,
) -> None:  # fmt: skip
    """Make a corpus of degraded speech from clean SPEECH (folders by talker, or a manifest.csv with path and
    speaker).

    Rooms, noises, clipping, suppressors, codecs, packet loss and chains of them; talkers and noises are in
    one split only. The same command gives the same samples, and goes on where an interrupted run stopped.

    \b
    Example:
      sqa-cli data degrade speech/ --noise noise/ --out degraded/ --train 18000 --dev 800 --test 1200 -j 8
    """
    from sqa_data.degrade import render as library

    held = (
        library.HELD_OUT_KINDS
        if held_out is None
        else tuple(k for k in held_out.split(",") if k not in ("", "none"))
    )
    config = library.DegradeConfig(
        train=train, dev=dev, test=test, seed=seed, max_seconds=max_seconds, held_out_kinds=held
    )
    clips = library.make_plan(
        library.read_sources(speech), library.read_noises(noise) if noise else {}, config
    )
    done = 0
    try:
        with _Progress("clips") as progress:

            def count() -> None:
                nonlocal done
                done += 1
                progress(done, len(clips))

            manifests = library.render(clips, out, seed, jobs=jobs, on_clip=count)
    except KeyboardInterrupt:
        click.echo("stopped; what is done is kept: the same command goes on from here", err=True)
        sys.exit(130)
    if as_json:
        click.echo(json.dumps({split: str(path) for split, path in manifests.items()}))
    else:
        for split, path in manifests.items():
            seconds = sum(clip.seconds for clip in clips if clip.split == split)
            click.echo(
                f"{split:6} {sum(c.split == split for c in clips):7} clips {seconds / 3600:7.2f} h  {path}"
            )


def _shard(text: str) -> tuple[int, int]:
    index, _, count = text.partition("/")
    if not (index.isdecimal() and count.isdecimal() and 1 <= int(index) <= int(count)):
        raise click.BadParameter(
            f"{text!r}; expected I/N with I from 1 to N, for example 1/4", param_hint="--shard"
        )
    return int(index), int(count)


def _list(adapters, as_json: bool) -> None:  # type: ignore[no-untyped-def]
    from sqa_data import DataError

    rows = []
    for adapter in adapters:
        try:
            installed, remedy = adapter.version(), None
        except DataError as error:
            installed, remedy = None, str(error).rsplit("; ", 1)[1]
        needs = "reference" if adapter.needs_reference else "clip alone"
        rows += [
            {"metric": label, "needs": needs, "version": installed, "install": remedy}
            for label in adapter.labels
        ]
    if as_json:
        click.echo(json.dumps(rows))
    else:
        for row in rows:
            state = row["version"] or f"not installed: {row['install']}"
            click.echo(f"{row['metric']:15} {row['needs']:11} {state}")


class _Progress:
    """A bar on stderr, if that is a terminal; called with (done, total). Of torchrun's processes the first shows it."""

    def __init__(self, unit: str) -> None:
        self.unit = unit

    def __enter__(self) -> "_Progress":
        self._bar = None
        if sys.stderr.isatty() and os.environ.get("RANK", "0") == "0":
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            self._bar = Progress(
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn(self.unit),
                TimeRemainingColumn(),
                console=Console(stderr=True),
            )
            self._task = self._bar.add_task("", total=None)
            self._bar.start()
        return self

    def __call__(self, done: int, total: int) -> None:
        if self._bar is not None:
            self._bar.update(self._task, completed=done, total=total)

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()
