"""The commands `score`, `compare`, `rank` and `warmup` of `sqa-metrics`, which `sqa-cli` offers too."""

import functools
import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from sqa_metrics.errors import MetricsError
from sqa_metrics.terminal import note, say, say_json, streams_and_errors, width

if TYPE_CHECKING:
    from sqa_metrics.report import Report
    from sqa_metrics.rows.records import Paired

Command = Callable[..., None]

_option = functools.partial(click.option, show_default=True)

INPUT = [
    _option("--ref", required=True, metavar="FILE", help="Listeners' scores, or - for standard input."),
    _option(
        "--ref-metric", default="mos", help="Metric to read from the reference (where columns have names)."
    ),
    _option(
        "--pred-metric", default="mos", help="Metric to read from predictions (where columns have names)."
    ),
    _option("--utt2sys", metavar="FILE", help="Kaldi utt2sys, for a reference that names no systems."),
    _option("--allow-missing", is_flag=True, help="Score the utterances that all files have."),
]
RESAMPLING = [
    _option("--resamples", default=1000, type=click.IntRange(20, 1_000_000), help="Bootstrap resamples."),
    _option("--seed", default=0, type=click.IntRange(0, 2**63 - 1), help="Seed of the bootstrap."),
    _option("--level", default=0.95, type=click.FloatRange(0.5, 0.999), help="Confidence of the intervals."),
]
METHOD, STYLE = click.Choice(["bca", "percentile"]), click.Choice(["text", "markdown", "latex"])
_method = functools.partial(_option, "--method", type=METHOD, help="Kind of bootstrap interval.")
OUTPUT = [
    _option("--json", "as_json", is_flag=True, help="Print JSON, for programs."),
    _option("--format", "style", type=STYLE, default="text", help="Kind of table."),
]


class _Command(click.Command):
    """Shows its examples under the name of the program that runs it, `sqa-metrics` or `sqa-cli`."""

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        program = ctx.find_root().info_name or "sqa-metrics"
        written = self.help or ""
        self.help = written.replace("sqa-metrics ", program + " ")
        super().format_help_text(ctx, formatter)
        self.help = written


def _with(*options: Any) -> Callable[[Command], Command]:
    def add(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


@click.command(cls=_Command, short_help="Measure predictions against listeners.")
@_with(*INPUT, click.option("--pred", required=True, metavar="FILE", help="Predicted scores, or -."))
@click.option(
    "--ci", is_flag=True, help="Add bootstrap intervals (the options below) and the ceiling that votes set."
)
@_with(*RESAMPLING, _method(default="bca"), *OUTPUT)
def score(pred: str, ci: bool, resamples: int, seed: int, level: float, method: Any, **options: Any) -> None:
    """Measure how well predicted scores agree with listeners.

    Prints MSE, LCC, SRCC and KTAU at the utterance and the system level. Reads JSON Lines
    ({"sample_id", "system_id", "metrics": {"mos": ...}}), CSV, answer lists (utt,score) and Kaldi
    scp. Every utterance of one file must be in the other, once; see --allow-missing.

    \b
    Examples:
      sqa-metrics score --ref ref.jsonl --pred pred.jsonl
      sqa-metrics score --ref ref.jsonl --pred pred.jsonl --ci --json
      sqa-metrics score --ref ref.csv --pred mos.scp --utt2sys utt2sys
      sqa-metrics score --ref ref.jsonl --pred pred.jsonl --pred-metric scoreq --format latex
    """
    paired = _read(_named((pred,)), options)
    if ci:
        from sqa_metrics.uncertainty import with_uncertainty

        (result,) = with_uncertainty(paired, n_resamples=resamples, seed=seed, level=level, method=method)
    else:
        from sqa_metrics.report import evaluate

        result = evaluate(paired)
    notes = result.notes()
    if ci and paired.noise is not None and result.ceiling is None:
        notes.append("no ceiling: some rows of the reference lack votes or mos_std")
    if options["as_json"]:
        say_json({"ref": options["ref"], "pred": pred} | result.as_dict(), indent=2)
        notes = list(paired.notes)
    else:
        say(result.table(options["style"], width()), keep="\n")
    _print_notes(notes)


@click.command(cls=_Command, short_help="Test whether predictors differ, with intervals.")
@click.argument("preds", nargs=-1, required=True, metavar="PRED PRED...")
@click.option("--unpaired", is_flag=True, help="Predictors scored different utterances of the same systems.")
@_with(*INPUT, *RESAMPLING, _method(default="percentile"), *OUTPUT)
def compare(
    preds: tuple[str, ...],
    unpaired: bool,
    resamples: int,
    seed: int,
    level: float,
    method: Any,
    **options: Any,
) -> None:
    """Test whether predictors differ on the same utterances.

    For every two predictors and every figure: the difference, its bootstrap interval, a two-sided
    p-value and the p-value after Holm's correction over the pairs. PRED is a file or NAME=FILE.

    \b
    Examples:
      sqa-metrics compare --ref ref.jsonl a.jsonl b.jsonl
      sqa-metrics compare --ref ref.jsonl ours=a.jsonl theirs=b.jsonl --resamples 10000 --json
      sqa-metrics compare --ref ref.jsonl a.jsonl b.jsonl --unpaired
    """
    named = _named(preds)
    bootstrap: dict[str, Any] = {"n_resamples": resamples, "seed": seed, "level": level, "method": method}
    if unpaired:
        ref = _once(options["ref"])
        parts = [
            _read({name: path}, options | {"ref": ref(), "allow_missing": True})
            for name, path in named.items()
        ]
        from sqa_metrics.uncertainty import compare_unpaired

        reports, differences = compare_unpaired(parts, **bootstrap)
    else:
        paired = _read(named, options)
        from sqa_metrics.uncertainty import compare, with_uncertainty

        reports = with_uncertainty(paired, **bootstrap | {"method": "bca"})
        differences = compare(paired, **bootstrap)
    if options["as_json"]:
        say_json(
            {
                "ref": options["ref"],
                "predictors": [r.as_dict() for r in reports],
                "differences": [d.as_dict() for d in differences],
            },
            indent=2,
        )
        _print_notes([line for line in _notes_of(reports) if line in reports[0].remarks])
        return
    for r in reports:
        say(f"{r.name}\n{r.table(options['style'], width())}\n", keep="\n")
    from sqa_metrics.uncertainty import table

    say(table(differences, level, options["style"], width()), keep="\n")
    notes = _notes_of(reports)
    pairs = len(reports) * (len(reports) - 1) // 2
    if 2 * pairs / (resamples + 1) > 1 - level:
        needed = math.ceil(4 * pairs / (1 - level))
        notes.append(f"with {pairs} pairs no p (Holm) can be small; take --resamples {needed} or more")
    _print_notes(notes)


@click.command(cls=_Command, short_help="Rank predictors as the challenge does.")
@click.argument("preds", nargs=-1, required=True, metavar="PRED PRED...")
@_with(*INPUT, *RESAMPLING, *OUTPUT)
def rank(preds: tuple[str, ...], resamples: int, seed: int, level: float, **options: Any) -> None:
    """Rank predictors as the challenge does, with the certainty of each place.

    Dense rank for each of the eight figures, mean inside Error, Linear and Rank, mean of the three
    (lower is better). Place intervals and P(first) are from the bootstrap. PRED is a file or NAME=FILE.

    \b
    Examples:
      sqa-metrics rank --ref ref.jsonl team1.jsonl team2.jsonl team3.jsonl
      sqa-metrics rank --ref ref.jsonl submissions/*.scp --format markdown
    """
    paired = _read(_named(preds), options)
    from sqa_metrics.ranking import rank, table

    places = rank(paired, n_resamples=resamples, seed=seed, level=level)
    notes = _notes_of([p.report for p in places])
    if options["as_json"]:
        say_json({"ref": options["ref"], "ranking": [p.as_dict() for p in places]}, indent=2)
        notes = [line for line in notes if line in paired.notes]
    else:
        say(table(places, level, options["style"], width()), keep="\n")
    _print_notes(notes)


@click.command(cls=_Command, short_help="Compile the kernels for large inputs, once.")
def warmup() -> None:
    """Compile the fast kernels once and keep them, so that no later run waits for it (some seconds)."""
    from sqa_metrics.agreement import warmup

    say("kernels compiled and cached" if warmup() else "nothing to compile: NumPy alone computes here")


class _Group(click.Group):
    """Prints our errors as one message instead of a traceback."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        with streams_and_errors(MetricsError):
            return super().main(*args, **kwargs)


@click.group(
    cls=_Group,
    commands=[score, compare, rank, warmup],
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="sqa-metrics")
def main() -> None:
    """Measure how well predicted mean opinion scores agree with listeners."""


def _read(preds: dict[str, str], options: dict[str, Any]) -> "Paired":
    from sqa_metrics.rows.join import pair
    from sqa_metrics.rows.read import read_utt2sys

    if [options["ref"], options["utt2sys"], *preds.values()].count("-") > 1:
        raise click.UsageError("standard input (-) can be only one of the files")
    utt2sys = read_utt2sys(options["utt2sys"]) if options["utt2sys"] else None
    return pair(
        options["ref"],
        dict(preds),
        ref_metric=options["ref_metric"],
        pred_metric=options["pred_metric"],
        utt2sys=utt2sys,
        allow_missing=options["allow_missing"],
    )


def _named(preds: tuple[str, ...]) -> dict[str, str]:
    """Name of each prediction: as given (NAME=FILE), or the file's name, with its folder where not unique."""
    stems = [Path(p).stem for p in preds]
    named = {}
    for pred, stem in zip(preds, stems, strict=True):
        name, equals, path = pred.partition("=")
        if not equals or "/" in name or Path(pred).exists():
            if not stem:
                raise click.UsageError(f"{pred!r} is not a file")
            name, path = (stem if stems.count(stem) == 1 else str(Path(pred).with_suffix(""))), pred
        if name in named:
            raise click.UsageError(f"two predictors are called {name!r}; name them apart with NAME=FILE")
        named[name] = path
    return named


def _once(source: str) -> Callable[[], BinaryIO]:
    """Opens the same content again and again, of a pipe too."""
    from sqa_metrics.rows.read import content_of, name_of

    content = content_of(source)

    def buffer() -> BinaryIO:
        file = io.BytesIO(content)
        file.name = name_of(source)
        return file

    return buffer


def _notes_of(reports: "list[Report]") -> list[str]:
    """The notes of all reports: once what is true of each, else with the predictor's name."""
    notes = [r.notes() for r in reports]
    common = [line for line in notes[0] if all(line in theirs for theirs in notes)]
    return common + [
        f"{r.name}: {line}"
        for r, theirs in zip(reports, notes, strict=True)
        for line in theirs
        if line not in common
    ]


def _print_notes(notes: list[str]) -> None:
    for line in notes:
        note(f"note: {line}", keep="\n")
