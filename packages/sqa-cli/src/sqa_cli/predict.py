"""`sqa-cli predict`: name the clips, load the model, print or append one row a clip."""

import io
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

Row = dict[str, Any]


@click.command()
@click.argument("inputs", nargs=-1, required=True, metavar="FILE|DIR|GLOB|LIST.jsonl|WAV.scp|- ...")
@click.option("--model", help="Folder, file or Hub id of a model; without it, the one in the package.")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="Append rows to this JSONL file."
)
@click.option("--resume", is_flag=True, help="Go on with --out; rows with an error are tried again.")
@click.option("--scp", is_flag=True, help="Also write METRIC.scp files beside --out.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON rows instead of a table.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:1.")
@click.option("--dtype", default="auto", show_default=True, help="auto, float32 or bfloat16.")
@click.option("--channel", type=click.IntRange(0), help="Which channel, from 0; without it, their mean.")
@click.option("--timeline", type=float, metavar="SECONDS", help="Also score every stretch so long.")
@click.option("--window", default=30.0, show_default=True, help="Longest piece seen at once, seconds.")
@click.option("--batch-seconds", type=float, help="Audio that goes through the model together.")
@click.option("--workers", default=2, show_default=True, help="Threads that read and resample.")
@click.option("--shard", metavar="I/N", help="Score the I-th of N shares; torchrun sets this by itself.")
def predict(
    inputs: tuple[str, ...],
    model: str | None,
    out: Path | None,
    resume: bool,
    scp: bool,
    as_json: bool,
    shard: str | None,
    **options: Any,
) -> None:
    """Score speech: one row a clip, in input order.

    \b
    Examples:
      sqa-cli predict speech.wav
      sqa-cli predict enhanced/ --out results.jsonl --scp
      sqa-cli predict data.jsonl --out results.jsonl --resume
      sqa-cli predict 'wavs/*.flac' --model vvwangvv/universa-ext_wavlm-base_5metric
      find . -name '*.wav' | sqa-cli predict - --json
      sox in.mp3 -t wav - | sqa-cli predict -
      torchrun --nproc-per-node 4 -m sqa_cli predict wav.scp --out results.jsonl

    A clip that cannot be read becomes a row with an error, the others are scored, and the exit code is 1.
    Ctrl-C or a crash loses at most one batch of --out; --resume goes on.
    """
    from sqa_model.inference.score_file import Shard
    from sqa_model.inputs import find_items

    if out is None and (resume or scp or shard):
        raise click.UsageError("--resume, --scp and --shard need --out.")
    share = Shard.parse(shard) if shard else _torchrun_share()
    if out is None and share.count > 1:
        raise click.UsageError("Several processes need --out.")
    if "-" in inputs and len(inputs) > 1:
        raise click.UsageError("- (standard input) must be the only input.")
    audio: bytes | None = None
    if inputs == ("-",):
        audio, items = _from_stdin()
    else:
        items = find_items(inputs)

    from sqa_model.inference.predictor import Predictor
    from sqa_model.inference.score_file import make_row, read_rows, score_to_file, write_scp

    options = {"window_s": options.pop("window"), "timeline_s": options.pop("timeline"), **options}
    predictor = Predictor(model, **options)
    rows: Iterator[Row]
    if out is not None:
        rows = score_to_file(items, predictor, out, resume=resume, shard=share)
    else:
        sources: Iterable[Any] = items if audio is None else [io.BytesIO(audio)]
        name = f"{predictor.fingerprint}/{predictor.dtype}"
        rows = (make_row(i, p, name) for i, p in zip(items, predictor.stream(sources), strict=True))

    try:
        table = out is None and not as_json
        failed = _show(rows, share.of(items), predictor.names, table=table, as_json=as_json)
    except KeyboardInterrupt:
        hint = f"; the rows so far are in {share.path(out)}, --resume goes on" if out is not None else ""
        raise click.ClickException(f"interrupted{hint}") from None
    if out is not None and out.exists():
        finished = read_rows(out)
        failed = sum("error" in row for row in finished)
        if scp:
            write_scp(finished, out.parent)
    if failed:
        click.echo(f"{failed} of {len(items)} clips could not be scored.", err=True)
        sys.exit(1)


def _from_stdin() -> tuple[bytes | None, list[Any]]:
    """(audio, its item) or (None, items of a list): what comes is told apart by whether it is text."""
    from sqa_model.errors import ModelError
    from sqa_model.inputs import Item, read_lines

    content = sys.stdin.buffer.read()
    try:
        items = read_lines(content.decode("utf-8").splitlines()) if b"\0" not in content else None
    except UnicodeDecodeError:
        items = None
    if items is None:
        return content, [Item("-", "stdin")]
    if not items:
        raise ModelError("-: standard input is empty; expected audio, or a list of paths")
    return None, items


def _torchrun_share() -> Any:
    """The share of this process under torchrun; all of it elsewhere."""
    from sqa_model.inference.score_file import Shard

    return Shard(int(os.environ.get("RANK", "0")) + 1, int(os.environ.get("WORLD_SIZE", "1")))


def _show(
    rows: Iterator[Row], items: Sequence[Any], names: tuple[str, ...], *, table: bool, as_json: bool
) -> int:
    """Print rows as they come and the progress beside them; returns how many have an error."""
    width = max((len(item.sample_id) for item in items), default=0)
    failed, heard, began = 0, 0.0, time.monotonic()
    quiet = not sys.stderr.isatty() or (
        (table or as_json) and sys.stdout.isatty()
    )  # rows are progress enough
    columns = (
        "{task.description}",
        BarColumn(),
        MofNCompleteColumn(),
        "{task.fields[pace]}",
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), disable=quiet, redirect_stdout=False) as bar:
        task = bar.add_task("scoring", total=len(items), pace="")
        if table:
            click.echo("  ".join([" " * width, *(f"{name:>8}" for name in names)]))
        for row in rows:
            failed += "error" in row
            heard += row["duration"]
            bar.update(task, advance=1, pace=f"{heard / (time.monotonic() - began):.0f} audio-s/s")
            if "error" in row:
                click.echo(f"{row['sample_id']}: {row['error']}", err=True)
            for text in row.get("warnings", ()):
                click.echo(f"{row['sample_id']}: warning: {text}", err=True)
            if as_json:
                click.echo(json.dumps(row, ensure_ascii=False))
            elif table and "metrics" in row:
                _table_line(row["sample_id"].ljust(width), row["metrics"], names)
                for span in row.get("timeline", ()):
                    when = f"  {span['start']:.1f}-{span['end']:.1f} s"
                    _table_line(when.ljust(width), span["metrics"], names)
    return failed


def _table_line(name: str, metrics: dict[str, float], names: tuple[str, ...]) -> None:
    click.echo("  ".join([name, *(f"{metrics[n]:{max(8, len(n))}.3f}" for n in names)]))
