"""`sqa-cli data download` and `data prepare`: from the sources of corpora to their manifests."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sqa_cli import options as o
from sqa_cli.terminal import bars, goes_on

if TYPE_CHECKING:
    from sqa_data import Corpus, Prepared


@click.command()
@click.argument("names", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Every corpus.")
@click.option("--trainable", is_flag=True, help="All for training that need nothing by hand.")
@o.raw
@click.option(
    "--licence-ok", multiple=True, metavar="NAME", help="Accept the licence of NAME (or 'all'); remembered."
)
@click.option("--prefer", type=click.Choice(["original", "mirror"]), default="original", show_default=True)
@click.option("--from", "base_url", metavar="URL", help="A server of yours with URL/NAME/FILE, asked first.")
@click.option("--optional", is_flag=True, help="Also the splits outside the usual set.")
@click.option("--only", metavar="PATTERN", help="Only files whose names fit, such as 'main*'.")
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
@o.json
@goes_on()
def download(
    names: tuple[str, ...],
    everything: bool,
    trainable: bool,
    raw: Path,
    licence_ok: tuple[str, ...],
    labels_only: bool,
    unpack: bool,
    drop_archives: bool,
    retries: int,
    as_json: bool,
    **options: Any,
) -> None:
    """Bring the archives of corpora, or of a set of them (`data list`), into RAW/NAME/.

    Stopped at any moment (Ctrl-C, kill, a cut line), the same command goes on where it was. Archives are checked
    against the published checksum, or the one of the first download where none is published.

    \b
    Examples:
      sqa-cli data download tencent
      sqa-cli data download urgent2026 --licence-ok all
      sqa-cli data download --trainable --licence-ok all --jobs 4
      sqa-cli data download nisqa --labels-only --licence-ok nisqa
    """
    import sqa_data
    from sqa_data.prepare.unpack import unpack_corpus
    from sqa_data.sources.http import Patience

    corpora = _chosen(names, everything, trainable)
    accepted = _accepted(corpora, raw, licence_ok)
    if labels_only:
        given = [name for name in ("only", "optional", "check") if options[name]]
        given += ["unpack"] * unpack + ["drop-archives"] * drop_archives
        if given:
            raise click.UsageError(f"--labels-only does not go with --{given[0]}")
        files = _labels(corpora, raw, accepted, options)
        o.report(as_json, files, files)
        return
    with bars(in_bytes=True) as progress:
        found = sqa_data.download(
            [corpus.name for corpus in corpora],
            raw,
            licence_ok=accepted,
            patience=Patience(retries=retries),
            progress=progress,
            **options,
        )
    if unpack or drop_archives:
        with bars() as progress:
            for corpus in corpora:
                unpack_corpus(
                    corpus, raw, jobs=options["jobs"], drop_archives=drop_archives, progress=progress
                )
    lines = [f"{f.corpus}: {f.path} ({o.size(f.size)}){'' if f.fresh else ', was here'}" for f in found]
    by_hand = [c.name for c in corpora if not c.downloadable and _lacks(c, raw)]
    lines += [f"{name}: more is to be done by hand, see `sqa-cli data show {name}`" for name in by_hand]
    o.report(as_json, [asdict(item) | {"path": str(item.path)} for item in found], lines)


def _lacks(corpus: "Corpus", raw: Path) -> bool:
    """Whether something is left to do by hand: a file, or audio that no file of the corpus holds."""
    from sqa_data.sources.records import state

    all_brought = bool(corpus.archives) and all(archive.sources for archive in corpus.archives)
    return all_brought or state(corpus, raw) in ("", "part")


def _chosen(names: Sequence[str], everything: bool, trainable: bool) -> "list[Corpus]":
    """The corpora that are asked for."""
    import sqa_data
    from sqa_data.corpus import expanded

    if everything or trainable:
        known = sqa_data.list_corpora()
        return [c for c in known if everything or ("training" in c.use and c.downloadable)]
    if not names:
        raise click.UsageError("name a corpus, or give --all or --trainable")
    return [sqa_data.get_corpus(name) for name in expanded(names)]


def _accepted(corpora: "Sequence[Corpus]", raw: Path, licence_ok: Sequence[str]) -> set[str]:
    """Names of the corpora whose licence the user accepts; a person at the terminal is asked for the others."""
    from sqa_data.sources.records import accepted_names, licences_to_accept

    accepted = accepted_names(licence_ok)
    if "all" in accepted or sys.stdin is None or not sys.stdin.isatty():
        return accepted
    for corpus in licences_to_accept(corpora, raw):
        terms = corpus.licence
        text = f"{corpus.name}: {terms.name}, {terms.note}\n  {terms.url}\nDo you accept?"
        if corpus.name not in accepted and click.confirm(text, err=True):
            accepted.add(corpus.name)
    return accepted


def _labels(corpora: "Sequence[Corpus]", raw: Path, accepted: set[str], options: dict[str, Any]) -> list[str]:
    """Bring the label files alone; returns their paths."""
    from sqa_data.sources.records import require_licences
    from sqa_data.sources.remote_labels import download_labels

    require_licences(corpora, raw, accepted)
    where = {key: options[key] for key in ("prefer", "base_url")}
    return [str(path) for corpus in corpora for path in download_labels(corpus, raw, **where)]


@click.command()
@click.argument("names", nargs=-1, required=True)
@o.raw
@o.out_folder
@click.option("--partial", is_flag=True, help="Leave out what is missing or broken instead of stopping.")
@click.option("--force", is_flag=True, help="Overwrite manifests that were edited since.")
@o.relative
@click.option(
    "--labels",
    type=click.Choice(["true", "baseline"]),
    default="true",
    show_default=True,
    help="baseline: as the 2026 baseline's scripts read them, to reproduce its figures.",
)
@click.option(
    "--ids",
    type=click.Choice(["ours", "baseline"]),
    default="ours",
    show_default=True,
    help="baseline: the sample_ids and system_ids that its scripts give, so that its score files join.",
)
@click.option("--accept-layout", is_flag=True, help="Go on where an assumed layout holds a surprise.")
@click.option("--jobs", type=click.IntRange(1), default=4, show_default=True, help="Threads.")
@o.json
@goes_on()
def prepare(
    names: tuple[str, ...],
    raw: Path,
    out: Path,
    as_json: bool,
    **options: Any,
) -> None:
    """Make OUT/NAME/SPLIT/data.jsonl of what lies in RAW/NAME/ (archives, or what they unpack to).

    MOS is the mean of the ratings, with votes and spread; the ratings themselves go to ratings.jsonl where they are
    published. What does not fit together is listed in OUT/NAME/problems.jsonl. Of several corpora, or of a set of
    them, all are prepared that can be; then those that cannot are an error.

    \b
    Examples:
      sqa-cli data prepare somos nisqa --raw raw --out data
      sqa-cli data prepare bvcc --partial
      sqa-cli data prepare chime-7-udase-eval --labels baseline --ids baseline --out data-as-baseline
    """
    from sqa_data.corpus import expanded
    from sqa_data.errors import DataError
    from sqa_data.prepare import prepare as prepare_corpus

    records, lines, failed = [], [], []
    for name in expanded(names):
        try:
            with bars() as progress:
                done = prepare_corpus(name, raw, out, **options, progress=progress)
        except DataError as error:
            failed.append(str(error))
            continue
        records += _made(done)
        lines += _told(done)
    if records or not failed:
        o.report(as_json, records, lines)
    if failed:
        raise DataError("\n".join(failed))


def _made(done: "Prepared") -> list[dict[str, object]]:
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
            "pairs": done.counts[split].pairs,
            "problems": done.problems,
            "notes": done.notes,
        }
        for split, path in done.manifests.items()
    ]


def _told(done: "Prepared") -> list[str]:
    """What was written and what was left out of it, for people."""
    lines = []
    for split, path in done.manifests.items():
        count = done.counts[split]
        more = f", {len(count.systems):,} systems" if count.systems else ""
        more += f", {count.pairs:,} pairs" if count.pairs else ""
        lines.append(f"{path}: {count.samples:,} samples{more}, {count.hours:.2f} h")
    lines += [f"  left out or odd: {n:,} {kind}" for kind, n in done.problems.items()]
    return lines + [f"  note: {text}" for text in done.notes]
