"""`sqa-cli predict`: name the clips, or pairs of them, load the model, print or append one row each."""

import io
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from sqa_metrics.cli.options import NUMBER

from sqa_cli import options as o
from sqa_cli.terminal import bars, note, say, say_json, width

if TYPE_CHECKING:
    from sqa_data.clip_list import ClipEntry
    from sqa_data.pair_clips import ClipPair
    from sqa_data.results import Row
    from sqa_data.shares import Share
    from sqa_metrics.calibration.record import Calibration

# columns kept for the name of a clip, which ends its line
NAME_WIDTH = 8


def _calibration(ctx: click.Context, param: click.Parameter, value: str | None) -> "Calibration | None":
    from sqa_metrics.calibration.record import read_calibration

    return None if value is None else read_calibration(value)


@click.command()
@click.argument("inputs", nargs=-1, metavar="FILE|DIR|GLOB|LIST.jsonl|WAV.scp|- ...")
@click.option(
    "--pairs",
    type=o.FILE_HERE,
    help="Compare pairs of clips instead: CMOS and who is better. The clips are named by its rows, by the data.jsonl "
    "beside it, or by the arguments.",
)
@click.option(
    "--model",
    "models",
    multiple=True,
    help="Folder, file or Hub id; default-1: an edition of the model in the package, the newest if none is named. "
    "Repeatable: the mean of several, and their spread.",
)
@o.config
@click.option(
    "--calibration",
    metavar="FILE",
    callback=_calibration,
    help="Add mos_cal, mos_low, mos_high by a file of `calibrate`.",
)
@click.option("--out", type=o.FILE, help="Append rows to this JSONL file.")
@click.option("--resume", is_flag=True, help="Go on with --out; rows with an error are tried again.")
@click.option("--scp", is_flag=True, help="Also write METRIC.scp files beside --out.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON rows instead of a table.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:1.")
@click.option("--dtype", default="auto", show_default=True, help="auto, float32 or bfloat16.")
@click.option("--channel", type=click.IntRange(0), help="Which channel, from 0; without it, their mean.")
@click.option(
    "--timeline", "timeline_s", type=NUMBER, metavar="SECONDS", help="Also score every stretch so long."
)
@click.option(
    "--window",
    "window_s",
    type=NUMBER,
    help="Longest piece seen at once, seconds; as the model says, 30 as a rule.",
)
@click.option("--batch-seconds", type=NUMBER, help="Audio that goes through the model together.")
@click.option("--workers", default=2, show_default=True, help="Threads that read and resample.")
@o.shard("Score the I-th of N shares, into FILE.I-of-N; the last to end makes FILE. Default under torchrun.")
def predict(
    inputs: tuple[str, ...],
    pairs: Path | None,
    models: tuple[str, ...],
    calibration: "Calibration | None",
    out: Path | None,
    resume: bool,
    scp: bool,
    as_json: bool,
    shard: "Share | None",
    **options: Any,
) -> None:
    """Score speech: one row a clip, in input order.

    \b
    Examples:
      sqa-cli predict speech.wav
      sqa-cli predict data.jsonl --out results.jsonl --scp --resume
      sqa-cli predict 'wavs/*.flac' --model vvwangvv/universa-ext_wavlm-base_5metric
      sqa-cli predict enhanced/ --model runs/a/best --model runs/b/best
      sqa-cli predict --pairs pairs.jsonl --model runs/pairs/best --out compared.jsonl
      find . -name '*.wav' | sqa-cli predict - --json
      sox in.mp3 -t wav - | sqa-cli predict -
      torchrun --nproc-per-node 4 -m sqa_cli predict wav.scp --out results.jsonl

    A clip that cannot be read becomes a row with an error, the others are scored, and the exit code is 1.
    Of a pair, cmos is above 0 where a is better; both orders are asked, so (b, a) gives the opposite.
    Ctrl-C or a crash loses at most one batch of --out; --resume goes on.
    """
    from sqa_data.results import require_absent
    from sqa_data.shares import Share
    from sqa_model.inference.options import check_options

    share = shard or Share.of_environment()
    if out is None and (resume or scp or shard or share.count > 1):
        raise click.UsageError("--resume, --scp, --shard and several processes need --out.")
    _check_inputs(inputs, pairs, models, calibration, options["timeline_s"])
    # what can be told at once is told before torch is loaded
    check_options(models=models or (None,), **options)
    if out is not None:
        require_absent(out, share, resume=resume)
    audio, clips = _named(inputs, pairs, scp=scp)

    from sqa_model.inference.predictor import Predictor

    predictor = Predictor(models or None, **options)
    names, rows_of = _scorer(predictor, audio, calibration, of_pairs=pairs is not None)
    try:
        if out is not None:
            how = {"resume": resume, "share": share, "model": predictor.mark}
            failed = _to_file(clips, rows_of, out, calibration, as_json=as_json, scp=scp, **how)
        else:
            failed = _show(rows_of(clips), clips, () if as_json else names, as_json=as_json)
    except KeyboardInterrupt:
        hint = f"; the rows so far are in {share.path(out)}, --resume goes on" if out is not None else ""
        raise click.ClickException(f"interrupted{hint}") from None
    if failed:
        note(f"{failed} of {len(clips)} {'clips' if pairs is None else 'pairs'} could not be scored.")
        sys.exit(1)


def _check_inputs(
    inputs: Sequence[str],
    pairs: Path | None,
    models: Sequence[str],
    calibration: "Calibration | None",
    timeline_s: float | None,
) -> None:
    """Refuse what cannot be asked together."""
    if not inputs and pairs is None:
        raise click.UsageError(
            "Missing argument: name clips (files, folders, lists, - for standard input), or --pairs."
        )
    if "-" in inputs and (len(inputs) > 1 or pairs is not None):
        raise click.UsageError("- (standard input) must be the only input.")
    if pairs is None:
        return
    if len(models) != 1:
        raise click.UsageError(
            "--pairs needs one --model, one with a comparative head: UrgentMOS, or a run with --pairs."
        )
    if calibration is not None or timeline_s is not None:
        raise click.UsageError("--calibration and --timeline are of single clips, not of --pairs.")


def _named(
    inputs: Sequence[str], pairs: Path | None, *, scp: bool
) -> "tuple[bytes | None, Sequence[ClipEntry | ClipPair]]":
    """(audio of standard input, or None; the clips or pairs, which `scp` holds to names without blanks)."""
    from sqa_data.pair_clips import list_pairs
    from sqa_data.results import require_scp_names

    audio: bytes | None = None
    clips: Sequence[ClipEntry | ClipPair]
    if pairs is not None:
        clips = list_pairs(pairs, inputs)
    elif tuple(inputs) == ("-",):
        audio, clips = _from_stdin()
    else:
        clips = _listed(inputs)
    if scp:
        require_scp_names(clip.sample_id for clip in clips)
    return audio, clips


def _listed(inputs: Sequence[str]) -> "list[ClipEntry]":
    """The clips that the arguments name; what was passed over on the way to them is told."""
    from sqa_data.clip_list import list_clips

    listed = list_clips(inputs)
    if listed.passed_over:
        note(str(listed.passed_over))
    return listed.entries


def _from_stdin() -> "tuple[bytes | None, list[ClipEntry]]":
    """(audio, its clip) or (None, clips of a list): what comes is told apart by whether it can be text."""
    from sqa_data.clip_list import ClipEntry, clips_of_text
    from sqa_data.errors import DataError

    content = sys.stdin.buffer.read()
    # no text has a NUL, and audio in which there is none begins as MPEG frames do
    if b"\0" in content or (content[:1] == b"\xff" and content[1:2] >= b"\xe0"):
        return content, [ClipEntry("-", "stdin")]
    clips = clips_of_text(content).entries
    if not clips:
        raise DataError("-: standard input is empty; expected audio, or a list of paths")
    return None, clips


def _names(predictor: Any, calibration: "Calibration | None") -> Sequence[str]:
    """What there is of a clip: the model's scores, and those of a calibration, which is held to the model."""
    names: Sequence[str] = predictor.names
    if calibration is None:
        return names
    if calibration.metric not in names:
        raise click.ClickException(
            f"the calibration is of {calibration.metric!r}, and the model gives {', '.join(names)}"
        )
    made_for, found = (calibration.model or "").partition("/")[0], predictor.fingerprint
    if made_for != found:
        # a map of several models is of all of them in their weights: of others not even roughly
        if made_for and "+" in made_for + found:
            raise click.ClickException(
                f"the calibration was made for model {made_for}, this is {found}; calibrate these models together"
            )
        told = f"model {calibration.model}" if made_for else "a model that it does not name"
        note(
            f"warning: the calibration was made for {told}, this is {found}; "
            "for another model its interval promises nothing"
        )
    # what was asked for comes first: a narrow terminal shows no more than the first columns
    return [*calibration.OUTPUTS, *names]


def _scorer(
    predictor: Any, audio: bytes | None, calibration: "Calibration | None", *, of_pairs: bool
) -> "tuple[Sequence[str], Callable[[Sequence[Any]], Generator[Row, None, None]]]":
    """What there is of each clip or pair, and what makes their rows."""
    from sqa_model.inference.score_file import rows_of_clips

    if of_pairs:
        from sqa_model.inference.pairs import NAMES, Comparer

        return NAMES, Comparer(predictor).rows
    sources = None if audio is None else [io.BytesIO(audio)]
    names = _names(predictor, calibration)
    return names, lambda clips: rows_of_clips(clips, predictor, calibration, sources)


def _to_file(
    clips: "Sequence[ClipEntry | ClipPair]",
    rows_of: "Callable[[Sequence[Any]], Generator[Row, None, None]]",
    out: Path,
    calibration: "Calibration | None",
    *,
    as_json: bool,
    scp: bool,
    **how: Any,
) -> int:
    """Score into a results file; returns how many of its rows have an error, those of earlier runs too."""
    from sqa_data.results import read_results, write_scp
    from sqa_model.inference.score_file import rows_to_file

    applied = calibration.name if calibration else None
    rows = rows_to_file(clips, rows_of, out=out, calibration=applied, **how)
    failed = _show(rows, how["share"].of(clips), (), as_json=as_json)
    # of all shares; alone, each error was tried again just now
    if out.exists() and (scp or how["share"].count > 1):
        finished = read_results(out)
        failed = sum("error" in row for row in finished)
        if scp:
            write_scp(finished, out.parent)
    return failed


def _show(
    rows: "Generator[Row, None, None]", clips: Sequence[Any], names: Sequence[str], *, as_json: bool
) -> int:
    """Print rows as they come, as JSON or as a table of `names`, or a bar; returns how many have an error.

    What clips are warned of is told in the end, or when the run is stopped: in one line for each thing.
    """
    from sqa_model.inference.warned import Warned

    failed, heard, began, warned = 0, 0.0, time.monotonic(), Warned()
    # rows on the screen are progress enough
    on_screen = (as_json or names) and sys.stdout.isatty()
    try:
        with bars(shown=not on_screen) as show, closing(rows):
            shown: Sequence[str] = ()
            for done, row in enumerate(rows, start=1):
                failed += "error" in row
                heard += row["duration"]
                show("scoring", done, len(clips), f"{heard / (time.monotonic() - began):.0f} audio-s/s")
                if "error" in row:
                    note(f"{row['sample_id']}: {row['error']}")
                warned.add(row["sample_id"], row.get("warnings", ()))
                if as_json:
                    say_json(row)
                elif names and "metrics" in row:
                    shown = shown or _table_head(names)
                    _table_rows(row, shown)
    finally:
        for line in warned.lines("warning: "):
            note(line)
    return failed


def _table_rows(row: "Row", names: Sequence[str]) -> None:
    """A clip, and below it its stretches of time, if they were asked for."""
    _table_line(row["metrics"], names, row["sample_id"])
    for span in row.get("timeline", ()):
        _table_line(span["metrics"], names, f"{row['sample_id']} {span['start']:.1f}-{span['end']:.1f} s")


def _table_head(names: Sequence[str]) -> Sequence[str]:
    """Print the head of the table; returns the heads that fit beside a clip's name."""
    room, shown = width() - NAME_WIDTH, 0
    while shown < len(names) and (room := room - _cell(names[shown]) - 2) >= 0:
        shown += 1
    shown = max(shown, 1)
    say("  ".join(f"{name:>{_cell(name)}}" for name in names[:shown]))
    if shown < len(names):
        note(f"not shown, for lack of room: {', '.join(names[shown:])}; --json has all")
    return names[:shown]


def _table_line(metrics: dict[str, float], names: Sequence[str], clip: str) -> None:
    """One row: figures first, so that the longest name of a clip puts nothing out of line."""
    cells = (f"{metrics[name]:.3f}" if name in metrics else "-" for name in names)
    say("  ".join([*(f"{cell:>{_cell(name)}}" for cell, name in zip(cells, names, strict=True)), clip]))


def _cell(name: str) -> int:
    return max(6, len(name))
