"""`sqa-cli data list` and `data show`: which corpora there are, and all that is known of one."""

import difflib
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sqa_cli import options as o
from sqa_cli.terminal import entry, say, say_json, table

if TYPE_CHECKING:
    from sqa_data import Corpus
    from sqa_data.corpus import Split

FILES_SHOWN = 20
FARTHEST = ("", "part", "downloaded", "unpacked", "prepared", "verified")  # what may be here, see `here`


def _one_of(_: click.Context, option: click.Parameter, value: str | None) -> str | None:
    """A kind of rating or a language that some corpus has; click.BadParameter names those that there are."""
    if value is None:
        return None
    from sqa_data import list_corpora

    values = _languages if option.name == "language" else _methods
    known = {found.lower(): found for corpus in list_corpora() for found in values(corpus)}
    asked = value.lower()
    if asked in known:
        return asked
    close = [name for name in known if name.startswith(asked) or asked.startswith(name)]
    close = close or difflib.get_close_matches(asked, known, n=1)
    question = f"did you mean {known[close[0]]}? " if close else ""
    raise click.BadParameter(f"no corpus has {value!r}; {question}known: {', '.join(sorted(known.values()))}")


def _methods(corpus: "Corpus") -> Iterable[str]:
    return corpus.method.split(" and ")


def _languages(corpus: "Corpus") -> Iterable[str]:
    return corpus.languages


@click.command("list")
@click.argument("names", nargs=-1)
@o.raw
@o.out_folder
@click.option(
    "--use", type=click.Choice(["training", "development", "evaluation"]), help="Only those for this."
)
@click.option(
    "--scale",
    "method",
    metavar="KIND",
    callback=_one_of,
    help="Only those rated so: ACR, CCR, P.835, MUSHRA ...",
)
@click.option(
    "--language",
    metavar="CODE",
    callback=_one_of,
    help="Only those known to have speech of this language, as en.",
)
@click.option(
    "--licence", type=click.Choice(["free", "accept"]), help="Only those that need no consent, or do."
)
@o.json
def list_(names: tuple[str, ...], raw: Path, out: Path, as_json: bool, **conditions: str | None) -> None:
    """The corpora by their use, and what is here of them; or only NAMES, of corpora or sets.

    \b
    samples and hours are of all usual splits; >= where those of some are not published
    size    to download; ~ where only the length of the audio is published
    terms   "accept": the licence forbids what you may plan, so you are asked
    here    part, downloaded, unpacked, prepared or verified, of the farthest split;
            "by hand": part of it must be fetched by you, see `data show NAME`

    \b
    Examples:
      sqa-cli data list --language en --licence free
      sqa-cli data list urgent2026 --use training
      sqa-cli data list --scale P.835 --json
    """
    from sqa_data import get_corpus, list_corpora
    from sqa_data.corpus import SETS, expanded
    from sqa_data.sources.records import here

    asked = [get_corpus(name) for name in expanded(names)] or list_corpora()
    corpora = [corpus for corpus in asked if _holds(corpus, **conditions)]
    states = {corpus.name: here(corpus, raw, out) for corpus in corpora}
    if as_json:
        say_json([_record(c, split, state) for c in corpora for split, state in states[c.name].items()])
        return
    if not corpora:
        say(f"no such corpus; `sqa-cli data list` shows all {len(list_corpora())}")
        return
    groups: dict[str, list[list[str]]] = {}
    for corpus in sorted(
        corpora, key=lambda c: (c.use[0] != "training", c.use, c.method != "ACR", c.method, c.name)
    ):
        rows = groups.setdefault(f"for {' and '.join(corpus.use)}, {corpus.method}", [])
        rows.append(_row(corpus, states[corpus.name].values()))
    header = ["corpus", "samples", "hours", "language", "size", "terms", "here"]
    # one table, so that the groups stand below each other
    lines = iter(table(header, [row for rows in groups.values() for row in rows], right="samples hours size"))
    say(next(lines))
    for title, rows in groups.items():
        say("", f"{title}:", *(next(lines) for _ in rows))
    if not names and not any(conditions.values()):
        say("")
        for name, (about, names) in SETS.items():
            say(*entry("set", f"{name} ({len(names)} corpora): {about}"))


def _holds(
    corpus: "Corpus", use: str | None, method: str | None, language: str | None, licence: str | None
) -> bool:
    return (
        (not use or use in corpus.use)
        and (not method or method in map(str.lower, _methods(corpus)))
        and (not language or language in _languages(corpus))
        and (not licence or (licence == "free") == (not corpus.licence.ask))
    )


def _row(corpus: "Corpus", states: Iterable[str]) -> list[str]:
    """One corpus in the table: all its usual splits together."""
    usual = [split for split in corpus.splits.values() if not split.optional]
    samples, whole = corpus.samples
    hours = [split.hours for split in usual]
    known = sum(h or 0 for h in hours)
    size, exact = corpus.size
    state = max(states, key=FARTHEST.index)
    languages = (
        " ".join(corpus.languages) if len(corpus.languages) < 4 else f"{len(corpus.languages)} of them"
    )
    return [
        corpus.name,
        _at_least(o.count(samples), whole) if samples else "?",
        _at_least(o.number(known, 1), None not in hours) if known else "?",
        languages or "?",
        (("" if exact else "~") + o.size(size)) if size else "?",
        "accept" if corpus.licence.ask else "free",
        state or ("" if corpus.downloadable else "by hand"),
    ]


def _at_least(known: str, whole: bool) -> str:
    return known if whole else f">= {known}"


def _record(corpus: "Corpus", split: str, state: str) -> dict[str, object]:
    """One split of a corpus, for programs."""
    facts = corpus.splits[split]
    size, exact = corpus.size
    return {
        "corpus": corpus.name,
        "split": split,
        "samples": facts.samples,
        "systems": facts.systems,
        "hours": facts.hours,
        "sample_rates": corpus.sample_rates,
        "languages": corpus.languages,
        "scale": corpus.method,
        "licence": corpus.licence.name,
        "accept": corpus.licence.ask,
        "size": size,
        "size_is_exact": exact,
        "by_hand": not corpus.downloadable,
        "use": corpus.use,
        "note": facts.note,
        "here": state,
        "links": corpus.links,
    }


def _sizes(facts: "Split") -> list[str]:
    """The columns samples, systems and hours of a split; "?" is what nobody published."""
    found = [o.count(facts.samples), o.count(facts.systems), o.number(facts.hours)]
    return [value or "?" for value in found]


@click.command()
@click.argument("name")
@o.raw
@o.json
def show(name: str, raw: Path, as_json: bool) -> None:
    """Details, licence, citation, sources and manual steps of one corpus."""
    from sqa_data import get_corpus
    from sqa_data.prepare.unpack import manual_steps

    corpus = get_corpus(name)
    steps = manual_steps(corpus, raw)
    if as_json:
        facts = asdict(corpus) | {"manual": steps}
        del facts["parse"], facts["parse_as_baseline"], facts["reference"]
        facts["baseline_ids"] = _baseline_ids(corpus)
        if corpus.picked:
            del facts["picked"]["plan"], facts["picked"]["write"]
        say_json(facts)
        return
    splits = [[split, *_sizes(facts), facts.note] for split, facts in corpus.splits.items()]
    say(*entry("corpus", f"{corpus.name}: {corpus.title} ({' and '.join(corpus.use)})"), "")
    say(*table(["split", "samples", "systems", "hours", ""], splits, right="samples systems hours"), "")
    say(*_facts(corpus))
    if steps:
        say("", *steps.split("\n"))


def _facts(corpus: "Corpus") -> list[str]:
    """Lines on rates, licence, archives, links and the paper of a corpus."""
    licence = corpus.licence
    lines = entry("rate", f"{o.kilohertz(corpus.sample_rates)} kHz" if corpus.sample_rates else "?")
    lines += entry("language", ", ".join(corpus.languages) or "?")
    lines += entry("rated", _rated(corpus))
    if related := [name for name in (corpus.audio_of, *corpus.contains) if name]:
        lines += entry("holds", f"clips of {', '.join(related)}")
    lines += entry("licence", f"{licence.name}: {licence.note}" if licence.note else licence.name)
    lines += entry("", licence.url)
    if corpus.wavs:
        lines += entry("clips", f"{corpus.wavs:,} when complete")
    lines += _told_ids(corpus)
    lines += entry("layout", f"{'assumed after' if corpus.assumed else 'seen in'} {corpus.layout}")
    for archive in corpus.files[:FILES_SHOWN]:
        known = [o.size(archive.size), archive.checksum or "checksum of first use"]
        lines += entry("archive", f"{archive.name}  ({', '.join(filter(None, known))})")
        for source in archive.sources:
            lines += entry("", str(source))
    if more := corpus.files[FILES_SHOWN:]:
        lines += entry("", f"and {len(more)} more files, to {more[-1].name}")
    if corpus.hub:
        form = "parquet" if corpus.hub.splits else "files"
        lines += entry("dataset", f"https://huggingface.co/datasets/{corpus.hub.repo}  ({form})")
    for link in corpus.links:
        lines += entry("link", link)
    return lines + entry("cite", corpus.citation)


def _rated(corpus: "Corpus") -> str:
    """How listeners were asked, and the scales that are not 1 to 5."""
    scales = [f"{label} {low:g} to {high:g}" for label, (low, high) in corpus.scales.items()]
    return f"{corpus.method} ({', '.join(scales)})" if scales else corpus.method


def _baseline_ids(corpus: "Corpus") -> dict[str, tuple[str, str | None]] | None:
    """A clip as it is called here and by the 2026 baseline, each by sample_id and system_id."""
    ids = corpus.baseline_ids
    return None if ids is None else {"ours": ids.example, "baseline": ids.of(*ids.example)}


def _told_ids(corpus: "Corpus") -> list[str]:
    """The names of a clip here and with `prepare --ids baseline`; nothing of a corpus that the baseline lacks."""
    told = [
        f"sample_id {sample}, system_id {system}" if system else f"sample_id {sample}, no system"
        for sample, system in (_baseline_ids(corpus) or {}).values()
    ]
    if not told:
        return []
    ours, theirs = told
    return entry("ids", ours) + entry("", f"--ids baseline: {'the same' if ours == theirs else theirs}")
