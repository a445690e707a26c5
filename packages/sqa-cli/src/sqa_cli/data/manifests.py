"""`sqa-cli data` on manifests: `verify`, `stats`, `filter`, `merge`, `sample`, `pairs` and `import`."""

import math
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from sqa_metrics.cli.options import NUMBER, FloatRange

from sqa_cli import options as o
from sqa_cli.terminal import bars, note, say, say_json, table

if TYPE_CHECKING:
    from sqa_data import Utterance, Verification

# findings of one kind that are printed
SHOWN = 5


@click.command()
@o.manifests
@click.option("--no-decode", is_flag=True, help="Read only the headers of the audio (no leak check).")
@click.option("--jobs", type=click.IntRange(1), default=4, show_default=True, help="Threads.")
@o.json
def verify(manifests: tuple[Path, ...], no_decode: bool, jobs: int, as_json: bool) -> None:
    """Check every line, every file, every sample, and that no clip is in both training and evaluation.

    Exit code 1 if there are errors; warnings alone pass. What passes with all its audio read is noted in
    .MANIFEST.verified beside it, so that `sqa-cli data list` says "verified" until the manifest changes.

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
    o.report(as_json, record, _findings(found, len(manifests)))
    if not found.ok:
        raise click.exceptions.Exit(1)
    if not no_decode:
        for path in manifests:
            try:
                remember_verified(path)
            except OSError as error:  # a corpus that may only be read is verified all the same
                note(f"note: {path}: not noted as verified: {error.strerror}")


def _findings(found: "Verification", manifests: int) -> list[str]:
    """The findings by kind, the first of each kind in full."""
    from sqa_data.verify import ERRORS, WARNINGS

    lines = [f"{manifests} manifests, {found.samples:,} samples, {found.hours:.2f} h"]
    for kind, n in found.counts.items():
        what = (ERRORS | WARNINGS)[kind]
        lines.append(f"{'error' if kind in ERRORS else 'warning'}: {kind}: {n:,} ({what})")
        examples = [f for f in found.findings if f.kind == kind][:SHOWN]
        lines += [f"  {f.where}: {f.text}" for f in examples] + (["  ..."] if n > SHOWN else [])
    return [*lines, "ok" if found.ok else "not ok"]


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


@click.command("filter")
@o.manifests
@o.out_manifest
@click.option("--corpus", "corpora", multiple=True, help="Only these corpora.")
@click.option("--split", "splits", multiple=True, help="Only these splits.")
@click.option("--system", "systems", multiple=True, help="Only these systems.")
@click.option("--language", "languages", multiple=True, metavar="CODE", help="Only these languages, as en.")
@click.option("--label", "labels", multiple=True, help="Only with this label (repeat: all of them).")
@click.option("--where", multiple=True, metavar="LABEL=LOW..HIGH", help="Only with the label in this range.")
@click.option("--min-duration", "min_duration_s", type=NUMBER, help="Seconds.")
@click.option("--max-duration", "max_duration_s", type=NUMBER, help="Seconds.")
@click.option("--min-votes", type=int)
@o.relative
@o.json
def filter_(
    manifests: tuple[Path, ...],
    out: Path,
    where: tuple[str, ...],
    relative: bool,
    as_json: bool,
    **conditions: Any,
) -> None:
    """Choose utterances; options add up.

    \b
    Example:
      sqa-cli data filter data/*/train/data.jsonl --label mos --max-duration 20 --where mos=1..3 --out low.jsonl
    """
    from sqa_data.choose import Condition, merged

    # the other options have the names of the condition's fields
    condition = Condition(bounds=tuple(_bound(text) for text in where), **conditions)
    _write(out, (u for u in merged(manifests) if condition.holds(u)), relative, as_json)


@click.command()
@o.manifests
@o.out_manifest
@click.option(
    "--rescale", multiple=True, metavar="LABEL", help="Map LABEL linearly to its usual scale (mos: 1 to 5)."
)
@o.relative
@o.json
def merge(
    manifests: tuple[Path, ...], out: Path, rescale: tuple[str, ...], relative: bool, as_json: bool
) -> None:
    """Put manifests together; a sample_id that comes twice in one corpus is an error.

    Labels that listeners gave on another scale than usual, as 0 to 100, keep it (key "scales"), and
    training refuses to pool them, unless --rescale maps them.

    \b
    Example:
      sqa-cli data merge data/mine/train/data.jsonl data/tcd-voip/train/data.jsonl --rescale mos --out both.jsonl
    """
    from sqa_data.choose import merged, rescaled

    _write(out, rescaled(merged(manifests), rescale), relative, as_json)


@click.command()
@o.manifests
@o.out_manifest
@click.option("-n", "n", type=click.IntRange(1), required=True, help="How many.")
@click.option("--per-system", is_flag=True, help="So many of each system.")
@click.option("--seed", type=int, default=0, show_default=True)
@o.relative
@o.json
def sample(
    manifests: tuple[Path, ...],
    out: Path,
    n: int,
    per_system: bool,
    seed: int,
    relative: bool,
    as_json: bool,
) -> None:
    """Draw utterances: the same for the same seed, whatever their order; a smaller draw is part of a larger one."""
    from sqa_data.choose import merged, sampled

    drawn = sampled(merged(manifests), n, seed, per_system=per_system)
    if len(drawn) < n:
        note(f"note: {n:,} were asked for; there are {len(drawn):,}")
    _write(out, drawn, relative, as_json)


@click.command()
@o.manifests
@click.option(
    "--out", required=True, type=o.FILE, help="File of pairs to write, beside the manifest of the clips."
)
@click.option(
    "--within",
    type=click.Choice(["corpus", "reference", "any"]),
    default="corpus",
    show_default=True,
    help="Pair clips of one corpus (and split), of one reference clip or text among these, or any two.",
)
@click.option("--label", default="mos", show_default=True, help="What is compared; on a scale of 1 to 5.")
@click.option(
    "--margin", type=NUMBER, default=0.0, help="Leave out pairs whose labels are closer.  [default: none]"
)
@click.option("-n", "n", type=click.IntRange(1), help="How many.  [default: 100000]")
@click.option("--share", type=FloatRange(0, 1, min_open=True), help="Which part of all that there are.")
@click.option(
    "--balance",
    type=click.Choice(["outcome", "corpus"]),
    multiple=True,
    help="As many that a wins, that b wins, and ties; as many of each corpus. May be given twice.",
)
@click.option("--tie", type=NUMBER, default=0.5, show_default=True, help="Below this difference it is a tie.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@o.json
def pairs(
    manifests: tuple[Path, ...], out: Path, n: int | None, share: float | None, as_json: bool, **how: Any
) -> None:
    """Make pairs of rated clips: {"corpus", "a", "b", "metrics": {"cmos": x}}, x = label of a - label of b.

    Drawn from all possible pairs, each as likely as any other, none twice (neither as b and a), the better clip first
    in every second one; the same for the same seed, whatever the order of the clips. A difference of more than 3, the
    end of the scale of CMOS, becomes 3.

    \b
    Examples:
      sqa-cli data pairs data/somos/train/data.jsonl --out data/somos/train/pairs.jsonl
      sqa-cli data pairs data/*/train/data.jsonl --balance corpus --balance outcome -n 1000000 --out pairs.jsonl
      sqa-cli data pairs data/somos/dev/data.jsonl --within reference --margin 0.5 --out pairs.jsonl
    """
    from sqa_data.pairing import draw_pairs
    from sqa_data.pairs import write_pairs

    if n is not None and share is not None:
        raise click.UsageError("give -n or --share, not both")
    drawn = draw_pairs(manifests, n=n, share=share, **how)
    write_pairs(out, drawn.pairs)
    if drawn.unlabelled:
        note(f"note: {drawn.unlabelled:,} clips without {how['label']} are left out")
    if drawn.clamped:
        note(f"note: {drawn.clamped:,} differences are beyond the scale of CMOS, 3, and became 3")
    if n is not None and drawn.count < n:
        note(f"note: {n:,} were asked for; there are {drawn.possible:,}")
    a, b, tie = (f"{drawn.outcomes[outcome]:,}" for outcome in ("a", "b", "tie"))
    line = f"{out}: {drawn.count:,} of {drawn.possible:,} pairs of {drawn.clips:,} clips; a is better in {a}, b in {b}"
    o.report(as_json, vars(drawn) | {"pairs": str(out)}, [f"{line}, a tie in {tie}"])


def _write(out: Path, utterances: "Iterable[Utterance]", relative: bool, as_json: bool) -> None:
    from sqa_data import write_manifest

    n = write_manifest(out, utterances, relative=relative)
    if not n:
        note("note: no utterance was chosen, and what reads manifests takes none that is empty")
    o.report(as_json, {"manifest": str(out), "samples": n}, [f"{out}: {n:,} samples"])


def _bound(text: str) -> tuple[str, float, float]:
    """A range of a label, from LABEL=LOW..HIGH; LABEL=VALUE is a range of one value."""
    label, _, limits = text.partition("=")
    low, dots, high = limits.partition("..")
    try:
        least, most = float(low or "-inf"), float(high or "inf") if dots else float(low)
    except ValueError:
        least = most = math.nan
    if not least <= most:
        raise click.BadParameter(f"{text!r}; expected LABEL=LOW..HIGH, as in mos=1..3")
    return label, least, most


@click.command("import")
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@click.option("--out", type=o.FILE, help="Manifest to write.")
@click.option(
    "--into", type=o.FOLDER, help="Add the labels in SOURCE (data.zip) to INTO/CORPUS/SPLIT/data.jsonl."
)
@click.option("--corpus", help="Name to write into each line.")
@click.option("--split", help="Split to write into each line.")
@click.option("--audio-root", type=o.FOLDER, help="Where relative audio paths start.  [default: here]")
@o.relative
@o.json
def import_(
    source: Path,
    out: Path | None,
    into: Path | None,
    corpus: str | None,
    split: str | None,
    audio_root: Path | None,
    relative: bool,
    as_json: bool,
) -> None:
    """Take over a manifest of the baseline, a CSV of SHEET, a Kaldi folder; or the baseline's data.zip of labels.

    \b
    Examples:
      sqa-cli data import old/data.jsonl --corpus mine --split train --out mine.jsonl
      sqa-cli data import kaldi/test --out test.jsonl
      sqa-cli data import data.zip --into data
    """
    from sqa_data.import_foreign import convert

    if out is not None and into is None:
        utterances = convert(source, corpus=corpus, split=split, audio_root=audio_root)
        _write(out, utterances, relative, as_json)
    elif into is not None and out is None:
        _add_labels(source, into, as_json)
    else:
        raise click.UsageError("give either --out FILE or --into FOLDER")


def _add_labels(source: Path, into: Path, as_json: bool) -> None:
    """Put the labels that `source` holds into the manifests below `into`."""
    from sqa_data.import_foreign import add_labels

    added = add_labels(source, into)
    lines = [
        f"{a.manifest}: {', '.join(f'{label} {n:,}' for label, n in a.labels.items())}"
        + (f"; {a.unknown:,} ids are not in it" if a.unknown else "")
        for a in added
    ]
    o.report(as_json, [asdict(a) | {"manifest": str(a.manifest)} for a in added], lines)
