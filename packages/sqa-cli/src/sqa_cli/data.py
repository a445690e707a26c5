"""`sqa-cli data`: corpora from their source to verified manifests, and manifests cut to measure."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from .main import LazyGroup

# name -> (module:attribute, one line for --help), as in `sqa_cli.main`; commands of other modules are named here too
TABLE = {
    "list": ("sqa_cli.data:list_", "The corpora, and what is here of them."),
    "show": ("sqa_cli.data:show", "One corpus: details, licence, citation, manual steps."),
    "download": ("sqa_cli.data:download", "Bring the archives of corpora."),
    "prepare": ("sqa_cli.data:prepare", "Make manifests of them."),
    "verify": ("sqa_cli.data:verify", "Check manifests, their audio, and leaks between them."),
    "stats": ("sqa_cli.data:stats", "Samples, systems, hours, opinions, votes."),
    "import": ("sqa_cli.data:import_", "Take over manifests and labels of other tools."),
    "filter": ("sqa_cli.data:filter_", "Choose utterances."),
    "merge": ("sqa_cli.data:merge", "Put manifests together."),
    "sample": ("sqa_cli.data:sample", "Draw utterances."),
    "annotate": ("sqa_cli.annotate:annotate", "Label utterances with quality metrics."),
    "degrade": ("sqa_cli.annotate:degrade", "Make degraded speech of clean speech."),
}


class DataGroup(LazyGroup):
    table = TABLE


@click.group(
    cls=DataGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
def data() -> None:
    """Corpora of rated speech: from their source to verified manifests.

    \b
    Examples:
      sqa-cli data list
      sqa-cli data download tencent chime-7-udase-eval
      sqa-cli data prepare tencent chime-7-udase-eval
      sqa-cli data verify data/*/*/data.jsonl
    """


FOLDER = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
manifests = click.argument("manifests", nargs=-1, required=True, type=FILE)
raw_option = click.option("--raw", type=FOLDER, default="raw", show_default=True, help="Archives: RAW/NAME/.")
out_option = click.option(
    "--out", type=FOLDER, default="data", show_default=True, help="Manifests: OUT/NAME/SPLIT/."
)
json_option = click.option("--json", "as_json", is_flag=True, help="For programs: JSON on stdout.")
target = click.option(
    "--out", "out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="Manifest to write."
)
relative_option = click.option("--relative", is_flag=True, help="Audio paths relative to the manifest.")


@click.command("list")
@raw_option
@out_option
@json_option
def list_(raw: Path, out: Path, as_json: bool) -> None:
    """The corpora, one line a split, and what is here of them.

    \b
    audio   "by hand": part of it must be fetched by you, see `data show NAME`
    here    part, downloaded, unpacked, prepared or verified
    """
    from sqa_data import list_corpora
    from sqa_data.sources.status import here

    rows, records = [], []
    for corpus in list_corpora():
        for split, state in here(corpus, raw, out).items():
            facts = corpus.splits[split]
            size = sum(archive.size or 0 for archive in corpus.archives) or None
            record = {
                "corpus": corpus.name,
                "split": split,
                "samples": facts.samples,
                "systems": facts.systems,
                "hours": facts.hours,
                "sample_rates": corpus.sample_rates,
                "licence": corpus.licence.name,
                "size": size,
                "by_hand": bool(corpus.manual),
                "use": corpus.role,
                "note": facts.note,
                "here": state,
                "links": corpus.links,
            }
            records.append(record)
            rows.append(
                [
                    corpus.name,
                    split,
                    _count(facts.samples),
                    _count(facts.systems),
                    "" if facts.hours is None else f"{facts.hours:.2f}",
                    _rates(corpus.sample_rates),
                    corpus.licence.name,
                    _bytes(size),
                    "by hand" if corpus.manual else "",
                    state,
                    corpus.links[0],
                ]
            )
    if as_json:
        _json(records)
        return
    header = [
        "corpus",
        "split",
        "samples",
        "systems",
        "hours",
        "kHz",
        "licence",
        "size",
        "audio",
        "here",
        "link",
    ]
    _table(header, rows, right=(2, 3, 4, 7))


@click.command()
@click.argument("name")
@raw_option
@json_option
def show(name: str, raw: Path, as_json: bool) -> None:
    """Details, licence, citation, sources and manual steps of one corpus."""
    from sqa_data import get_corpus
    from sqa_data.prepare.run import manual_steps

    corpus = get_corpus(name)
    facts = asdict(corpus) | {"manual": manual_steps(corpus, raw)}
    del facts["parse"]
    if as_json:
        _json(facts)
        return
    click.echo(f"{corpus.name}: {corpus.title}  ({corpus.role})\n")
    rows = [
        [split, _count(s.samples), _count(s.systems), "" if s.hours is None else f"{s.hours:.2f}", s.note]
        for split, s in corpus.splits.items()
    ]
    _table(["split", "samples", "systems", "hours", ""], rows, right=(1, 2, 3))
    click.echo(f"\nrate      {_rates(corpus.sample_rates)} kHz")
    note = f": {corpus.licence.note}" if corpus.licence.note else ""
    click.echo(f"licence   {corpus.licence.name}{note}\n          {corpus.licence.url}")
    for archive in corpus.archives:
        facts_of = ", ".join(
            x for x in (_bytes(archive.size), archive.checksum or "checksum of first use") if x
        )
        click.echo(f"archive   {archive.name}  ({facts_of})")
        for source in archive.sources:
            click.echo(f"          {source}")
    if corpus.hub:
        click.echo(f"dataset   https://huggingface.co/datasets/{corpus.hub.repo}  (parquet)")
    for link in corpus.links:
        click.echo(f"link      {link}")
    click.echo(f"cite      {corpus.citation}")
    if corpus.manual:
        click.echo(f"\n{facts['manual']}")


@click.command()
@click.argument("names", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Every corpus.")
@click.option("--trainable", is_flag=True, help="All for training that need nothing by hand.")
@raw_option
@click.option(
    "--licence-ok", multiple=True, metavar="NAME", help="Accept the licence of NAME (or 'all'); remembered."
)
@click.option("--prefer", type=click.Choice(["original", "mirror"]), default="original", show_default=True)
@click.option("--from", "base_url", metavar="URL", help="A server of yours with URL/NAME/FILE, asked first.")
@click.option("--optional", is_flag=True, help="Also the splits outside the usual set.")
@click.option("--labels-only", is_flag=True, help="Only the label files, read out of the remote archives.")
@click.option("--check", is_flag=True, help="Hash again what is here.")
@click.option("--unpack", is_flag=True, help="Unpack what was brought.")
@click.option(
    "--drop-archives",
    is_flag=True,
    help="Unpack, then delete the archives (parquet stays: it holds the labels).",
)
@click.option("--jobs", type=click.IntRange(1), default=3, show_default=True, help="Files at once.")
@click.option(
    "--retries", type=click.IntRange(0), default=6, show_default=True, help="Failures in a row to bear."
)
@json_option
def download(
    names: Sequence[str],
    everything: bool,
    trainable: bool,
    raw: Path,
    licence_ok: Sequence[str],
    prefer: str,
    base_url: str | None,
    optional: bool,
    labels_only: bool,
    check: bool,
    unpack: bool,
    drop_archives: bool,
    jobs: int,
    retries: int,
    as_json: bool,
) -> None:
    """Bring the archives of corpora into RAW/NAME/.

    Stopped at any moment (Ctrl-C, kill, a cut line), the same command goes on where it was. Archives are checked
    against the published checksum, or the one of the first download where none is published.

    \b
    Examples:
      sqa-cli data download tencent
      sqa-cli data download --trainable --licence-ok all --jobs 4
      sqa-cli data download nisqa --labels-only --licence-ok nisqa
    """
    import sqa_data
    from sqa_data.prepare.run import unpack_corpus
    from sqa_data.sources.download import licences_to_accept, require_licences
    from sqa_data.sources.http import Patience
    from sqa_data.sources.remote_labels import download_labels

    corpora = [sqa_data.get_corpus(name) for name in names]
    if everything or trainable:
        corpora = [
            c for c in sqa_data.list_corpora() if everything or ("training" in c.role and c.downloadable)
        ]
    if not corpora:
        raise click.UsageError("name a corpus, or give --all or --trainable")
    accepted = set(licence_ok)
    if sys.stdin.isatty() and not accepted & {"all"}:
        for corpus in licences_to_accept(corpora, raw):
            terms = corpus.licence
            text = f"{corpus.name}: {terms.name}, {terms.note}\n  {terms.url}\nDo you accept?"
            if corpus.name not in accepted and click.confirm(text, err=True):
                accepted.add(corpus.name)
    if labels_only:
        require_licences(corpora, raw, accepted)
        files = [path for c in corpora for path in download_labels(c, raw, prefer=prefer, base_url=base_url)]
        _say(as_json, [str(path) for path in files], [str(path) for path in files])
        return
    with _bars(binary=True) as progress:
        found = sqa_data.download(
            [corpus.name for corpus in corpora],
            raw,
            licence_ok=accepted,
            jobs=jobs,
            prefer="mirror" if prefer == "mirror" else "original",
            base_url=base_url,
            optional=optional,
            check=check,
            patience=Patience(retries=retries),
            progress=progress,
        )
    if unpack or drop_archives:
        with _bars() as progress:
            for corpus in corpora:
                unpack_corpus(corpus, raw, jobs=jobs, drop_archives=drop_archives, progress=progress)
    lines = [
        f"{item.corpus}: {item.path} ({_bytes(item.size)}){'' if item.fresh else ', was here'}"
        for item in found
    ]
    lines += [
        f"{c.name}: more is to be done by hand, see `sqa-cli data show {c.name}`" for c in corpora if c.manual
    ]
    _say(as_json, [asdict(item) | {"path": str(item.path)} for item in found], lines)


@click.command()
@click.argument("names", nargs=-1, required=True)
@raw_option
@out_option
@click.option("--partial", is_flag=True, help="Leave out what is missing or broken instead of stopping.")
@click.option("--force", is_flag=True, help="Overwrite manifests that were edited since.")
@relative_option
@click.option("--jobs", type=click.IntRange(1), default=4, show_default=True, help="Threads.")
@json_option
def prepare(
    names: Sequence[str],
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
        with _bars() as progress:
            done = prepare_corpus(
                name, raw, out, partial=partial, jobs=jobs, relative=relative, force=force, progress=progress
            )
        for split, path in done.manifests.items():
            count = done.counts[split]
            records.append(
                {
                    "corpus": done.corpus,
                    "split": split,
                    "manifest": str(path),
                    "samples": count.samples,
                    "systems": len(count.systems) or None,
                    "hours": count.hours,
                    "ratings": count.ratings,
                    "problems": done.problems,
                    "notes": done.notes,
                }
            )
            systems = f", {len(count.systems):,} systems" if count.systems else ""
            lines.append(f"{path}: {count.samples:,} samples{systems}, {count.hours:.2f} h")
        lines += [f"  left out or odd: {n:,} {kind}" for kind, n in done.problems.items()]
        lines += [f"  note: {note}" for note in done.notes]
    _say(as_json, records, lines)


@click.command()
@manifests
@click.option("--no-decode", is_flag=True, help="Read only the headers of the audio (no leak check).")
@click.option("--jobs", type=click.IntRange(1), default=4, show_default=True, help="Threads.")
@json_option
def verify(manifests: Sequence[Path], no_decode: bool, jobs: int, as_json: bool) -> None:
    """Check every line, every file, every sample, and that no clip is in both training and evaluation.

    Exit code 1 if there are errors; warnings alone pass.

    \b
    Examples:
      sqa-cli data verify data/*/*/data.jsonl
      sqa-cli data verify train.jsonl dev.jsonl --json
    """
    from sqa_data.sources.status import remember_verified
    from sqa_data.verify import ERRORS, WARNINGS, validate

    with _bars() as progress:
        found = validate(manifests, decode=not no_decode, jobs=jobs, progress=progress)
    lines = [f"{len(manifests)} manifests, {found.samples:,} samples, {found.hours:.2f} h"]
    for kind, n in found.counts.items():
        what = (ERRORS | WARNINGS)[kind]
        lines.append(f"{'error' if kind in ERRORS else 'warning'}: {kind}: {n:,} ({what})")
        examples = [f for f in found.findings if f.kind == kind]
        lines += [f"  {f.where}: {f.text}" for f in examples[:5]] + (["  ..."] if n > 5 else [])
    lines.append("ok" if found.ok else "not ok")
    record = {
        "ok": found.ok,
        "samples": found.samples,
        "hours": found.hours,
        "counts": dict(found.counts),
        "findings": [asdict(finding) for finding in found.findings],
    }
    _say(as_json, record, lines)
    if not found.ok:
        raise click.exceptions.Exit(1)
    if not no_decode:
        for path in manifests:
            remember_verified(path)


@click.command()
@manifests
@click.option("--plot", is_flag=True, help="Draw histograms of MOS and duration.")
@json_option
def stats(manifests: Sequence[Path], plot: bool, as_json: bool) -> None:
    """Samples, systems, hours, rates, opinions and votes, one line a corpus and split."""
    from sqa_data.stats import bars, statistics

    found = [item.as_dict() for item in statistics(manifests)]
    if as_json:
        _json(found)
        return
    rows = []
    for s in found:
        mos, votes = s["mos"], s["votes"]
        rates = ", ".join(f"{int(r) / 1000:g}" for r in s["sample_rates"] if r != "None")
        rows.append(
            [
                s["corpus"] or "",
                s["split"] or "",
                _count(s["samples"]),
                _count(s["systems"]),
                f"{s['hours']:.2f}",
                rates,
                *(_number(mos[k]) for k in ("mean", "std", "min", "max")),
                *(_number(votes[k], 0) for k in ("min", "median", "max")),
                ", ".join(label for label in s["labels"] if label != "mos"),
            ]
        )
    header = ["corpus", "split", "samples", "systems", "hours", "kHz", "MOS", "std", "min", "max"]
    _table(
        [*header, "votes min", "median", "max", "other labels"], rows, right=(2, 3, 4, 6, 7, 8, 9, 10, 11, 12)
    )
    for s in found if plot else ():
        for what, title in (("mos", "MOS"), ("duration_s", "duration, s")):
            click.echo(f"\n{s['corpus'] or ''} {s['split'] or ''}: {title}")
            click.echo("\n".join(bars(s[what]["counts"], s[what]["edges"])))


@click.command("import")
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Manifest to write.")
@click.option(
    "--into", type=FOLDER, help="Add the labels in SOURCE (data.zip) to INTO/CORPUS/SPLIT/data.jsonl."
)
@click.option("--corpus", help="Name to write into each line.")
@click.option("--split", help="Split to write into each line.")
@click.option("--audio-root", type=FOLDER, help="Where relative audio paths start.  [default: here]")
@relative_option
@json_option
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
    from sqa_data import write_manifest
    from sqa_data.import_foreign import add_labels, convert

    if (out is None) == (into is None):
        raise click.UsageError("give either --out FILE or --into FOLDER")
    if into is not None:
        added = add_labels(source, into)
        lines = [
            f"{a.manifest}: {', '.join(f'{label} {n:,}' for label, n in a.labels.items())}"
            + (f"; {a.unknown:,} ids are not in it" if a.unknown else "")
            for a in added
        ]
        _say(as_json, [asdict(a) | {"manifest": str(a.manifest)} for a in added], lines)
        return
    assert out is not None
    n = write_manifest(
        out, convert(source, corpus=corpus, split=split, audio_root=audio_root), relative=relative
    )
    _say(as_json, {"manifest": str(out), "samples": n}, [f"{out}: {n:,} samples"])


@click.command("filter")
@manifests
@target
@click.option("--corpus", multiple=True, help="Only these corpora.")
@click.option("--split", multiple=True, help="Only these splits.")
@click.option("--system", multiple=True, help="Only these systems.")
@click.option("--label", multiple=True, help="Only with this label (repeat: all of them).")
@click.option("--where", multiple=True, metavar="LABEL=LOW..HIGH", help="Only with the label in this range.")
@click.option("--min-duration", type=float, help="Seconds.")
@click.option("--max-duration", type=float, help="Seconds.")
@click.option("--min-votes", type=int)
@relative_option
@json_option
def filter_(
    manifests: Sequence[Path],
    out: Path,
    corpus: tuple[str, ...],
    split: tuple[str, ...],
    system: tuple[str, ...],
    label: tuple[str, ...],
    where: Sequence[str],
    min_duration: float | None,
    max_duration: float | None,
    min_votes: int | None,
    relative: bool,
    as_json: bool,
) -> None:
    """Choose utterances; options add up.

    \b
    Example:
      sqa-cli data filter data/*/train/data.jsonl --label mos --max-duration 20 --where mos=1..3 --out low.jsonl
    """
    from sqa_data.choose import Condition, merged

    condition = Condition(
        corpora=corpus,
        splits=split,
        systems=system,
        labels=label,
        min_duration_s=min_duration,
        max_duration_s=max_duration,
        min_votes=min_votes,
        bounds=tuple(_bound(text) for text in where),
    )
    _write(out, (u for u in merged(manifests) if condition.holds(u)), relative, as_json)


@click.command()
@manifests
@target
@relative_option
@json_option
def merge(manifests: Sequence[Path], out: Path, relative: bool, as_json: bool) -> None:
    """Put manifests together; a sample_id that comes twice in one corpus is an error."""
    from sqa_data.choose import merged

    _write(out, merged(manifests), relative, as_json)


@click.command()
@manifests
@target
@click.option("-n", "n", type=click.IntRange(1), required=True, help="How many.")
@click.option("--per-system", is_flag=True, help="So many of each system.")
@click.option("--seed", type=int, default=0, show_default=True)
@relative_option
@json_option
def sample(
    manifests: Sequence[Path], out: Path, n: int, per_system: bool, seed: int, relative: bool, as_json: bool
) -> None:
    """Draw utterances: the same for the same seed, whatever their order; a smaller draw is part of a larger one."""
    from sqa_data.choose import merged, sampled

    _write(out, sampled(merged(manifests), n, seed, per_system=per_system), relative, as_json)


def _write(out: Path, utterances: Iterable[Any], relative: bool, as_json: bool) -> None:
    from sqa_data import write_manifest

    n = write_manifest(out, utterances, relative=relative)
    _say(as_json, {"manifest": str(out), "samples": n}, [f"{out}: {n:,} samples"])


def _bound(text: str) -> tuple[str, float, float]:
    label, _, limits = text.partition("=")
    low, dots, high = limits.partition("..")
    try:
        return label, float(low or "-inf"), float(high or "inf") if dots else float(low)
    except ValueError:
        raise click.BadParameter(f"{text!r}; expected LABEL=LOW..HIGH, as in mos=1..3") from None


@contextmanager
def _bars(binary: bool = False) -> Iterator[Any]:
    """A progress callback that draws one bar a name on stderr, or None where nobody is watching."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich import progress as p
    from rich.console import Console

    numbers = [p.DownloadColumn(), p.TransferSpeedColumn()] if binary else [p.MofNCompleteColumn()]
    columns = [p.TextColumn("{task.description}"), p.BarColumn(), *numbers, p.TimeRemainingColumn()]
    with p.Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, p.TaskID] = {}

        def show(name: str, done: int, total: int | None) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=total)
            bars.update(tasks[name], completed=done, total=total)

        yield show


def _say(as_json: bool, record: Any, lines: Sequence[str]) -> None:
    if as_json:
        _json(record)
    else:
        click.echo("\n".join(lines))


def _json(record: Any) -> None:
    click.echo(json.dumps(record, ensure_ascii=False))


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> None:
    """Aligned columns, as wide as they need to be, so that pipes and pagers get whole lines."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    for row in [header, *rows]:
        cells = [
            cell.rjust(w) if i in right else cell.ljust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ]
        click.echo("  ".join(cells).rstrip())


def _count(n: int | None) -> str:
    return "" if n is None else f"{n:,}"


def _number(value: float | None, digits: int = 2) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _rates(rates: Sequence[int]) -> str:
    return f"{rates[0] / 1000:g}" if len(rates) == 1 else f"{rates[0] / 1000:g}..{rates[-1] / 1000:g}"


def _bytes(n: int | None) -> str:
    if n is None:
        return ""
    for unit in ("B", "kB", "MB"):
        if n < 1000:
            return f"{n:.0f} {unit}" if unit == "B" else f"{n:.1f} {unit}"
        n /= 1000  # type: ignore[assignment]
    return f"{n:.1f} GB"
