"""From the arguments of a command to predictions joined with their reference; and its notes."""

import io
import os
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from sqa_metrics.cli.options import ONE_STDIN, refuse
from sqa_metrics.terminal import note, say

if TYPE_CHECKING:
    from sqa_metrics.pairs.join import PairedPairs
    from sqa_metrics.report import Report
    from sqa_metrics.rows.records import Paired


def read(preds: dict[str, Any], options: dict[str, Any]) -> "Paired":
    from sqa_metrics.rows.pair import pair
    from sqa_metrics.rows.read import read_utt2sys

    if [options["ref"], options["utt2sys"], *preds.values()].count("-") > 1:
        raise click.UsageError(ONE_STDIN)
    utt2sys = read_utt2sys(options["utt2sys"]) if options["utt2sys"] is not None else None
    paired = pair(
        options["ref"],
        dict(preds),
        ref_metric=options["ref_metric"],
        pred_metric=options["pred_metric"],
        utt2sys=utt2sys,
        allow_missing=options["allow_missing"],
        columns=columns_of(options["columns"]),
        scale=options["scale"],
    )
    if options.get("align", "none") == "none":
        return paired
    from sqa_metrics.alignment import align

    return align(paired, options["align"])


def with_pairs(
    preds: dict[str, str], pairs_ref: str, own: dict[str, str], options: dict[str, Any]
) -> "tuple[dict[str, Any], list[PairedPairs]]":
    """Predictions of clips, to be read once more by `read`, and each predictor joined with listeners' pairs.

    `own` has predictions of pairs by name; the other predictors are judged by the difference of their scores.
    """
    refuse("is of single clips; leave it out with --pairs-ref", "align", "allow_missing")
    if [options["ref"], pairs_ref, *preds.values(), *own.values()].count("-") > 1:
        raise click.UsageError(ONE_STDIN)
    if options["utt2sys"] == "-":
        raise click.UsageError("--utt2sys is read twice with --pairs-ref; expected a file")
    if unknown := [name for name in own if name not in preds]:
        raise click.UsageError(
            f"--pairs-pred: no predictor is called {unknown[0]!r}; expected one of {', '.join(preds)}"
        )
    from sqa_metrics.pairs.join import join_pairs, require_pairs
    from sqa_metrics.pairs.rows import read_pairs
    from sqa_metrics.rows.names import checked
    from sqa_metrics.rows.read import read_utt2sys, scores_of, table_of
    from sqa_metrics.rows.scales import parsed

    scales = parsed(options["scale"])
    if len(own) < len(preds) and scales.get("ref") != scales.get("pred"):
        raise click.UsageError(
            "--scale maps scores of clips, and pairs without --pairs-pred are judged by the difference of scores as "
            "they are; write the predictions on the reference's scale"
        )
    columns, metric = checked(columns_of(options["columns"])), options["pred_metric"]
    utt2sys = read_utt2sys(options["utt2sys"]) if options["utt2sys"] is not None else None
    ref, opened = require_pairs(read_pairs(pairs_ref)), {name: once(path) for name, path in preds.items()}
    compared = []
    for name, open_again in opened.items():
        if name in own:
            predicted = read_pairs(own[name])
        else:
            predicted = scores_of(table_of(open_again(), name), metric, "pred", None, columns)
        compared.append(join_pairs(ref, predicted, name, utt2sys=utt2sys))
    return {name: open_again() for name, open_again in opened.items()}, compared


def columns_of(texts: tuple[str, ...]) -> dict[str, str]:
    """The columns that --columns names; a comma parts them where a name and = follow it.

    >>> columns_of(("mos=SIG,ref:sample_id=file, name",))
    {'mos': 'SIG', 'ref:sample_id': 'file, name'}
    """
    found: dict[str, str] = {}
    for part in (part for text in texts for part in re.split(r",(?=[\w:]+=)", text)):
        what, equals, name = part.partition("=")
        if not equals or what in found:
            raise click.UsageError(
                f"--columns: found {part!r}, expected WHAT=NAME, each once, as in mos=SIG,sample_id=file"
            )
        found[what] = name
    return found


def named(preds: tuple[str, ...]) -> dict[str, str]:
    """Name of each prediction: as given (NAME=FILE), or the file's name, with its folder where not unique."""
    stems = [os.path.splitext(os.path.basename(p))[0] for p in preds]
    named = {}
    for pred, stem in zip(preds, stems, strict=True):
        name, equals, path = pred.partition("=")
        if not equals or "/" in name or os.path.exists(pred):
            if not stem:
                raise click.UsageError(f"{pred!r} is not a file")
            name, path = (stem if stems.count(stem) == 1 else os.path.splitext(pred)[0]), pred
        if name in named:
            raise click.UsageError(f"two predictors are called {name!r}; name them apart with NAME=FILE")
        named[name] = path
    return named


def once(source: str) -> Callable[[], BinaryIO]:
    """Opens the same content again and again, of a pipe too."""
    from sqa_metrics.rows.read import content_of, name_of

    content = content_of(source)

    def buffer() -> BinaryIO:
        file = io.BytesIO(content)
        file.name = name_of(source)
        return file

    return buffer


def notes_of(reports: "list[Report]") -> list[str]:
    """The notes of all reports: once what is true of each, else with the predictor's name."""
    notes = [r.notes() for r in reports]
    common = [line for line in notes[0] if all(line in theirs for theirs in notes)]
    return common + [
        f"{r.name}: {line}"
        for r, theirs in zip(reports, notes, strict=True)
        for line in theirs
        if line not in common
    ]


def finish(
    reports: "list[Report]", options: dict[str, Any], more: Sequence[str] = (), recipe: str = ""
) -> None:
    """Below the tables: the signature, one a predictor where they differ, and notes; then --verify-signature.

    With --json only notes of reading: it holds what the others say. `recipe` is that of what stands beside reports
    without intervals. MetricsError where the signature differs.
    """
    from sqa_metrics.signature import line, signature, verify_signature

    found = {r.name: signature(r, recipe) for r in reports}
    one, notes = len(set(found.values())) == 1, [*notes_of(reports), *more]
    if options["as_json"]:
        notes = [text for text in notes if text in reports[0].remarks]
    else:
        lines = [line(text if one else f"{name} {text}", options["style"]) for name, text in found.items()]
        say("", *lines[: 1 if one else None], keep="\n")
    print_notes(notes)
    if options["quoted"] is not None:
        for own in dict.fromkeys(found.values()):
            verify_signature(own, options["quoted"])


def print_notes(notes: list[str]) -> None:
    for line in notes:
        note(f"note: {line}", keep="\n")
