"""`sqa-cli data import`: manifests and labels of other tools."""

from dataclasses import asdict
from pathlib import Path

import click

from sqa_cli import options as o


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
    from sqa_data import write_manifest
    from sqa_data.import_foreign import convert

    if out is not None and into is None:
        utterances = convert(source, corpus=corpus, split=split, audio_root=audio_root)
        n = write_manifest(out, utterances, relative=relative)
        o.report(as_json, {"manifest": str(out), "samples": n}, [f"{out}: {n:,} samples"])
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
