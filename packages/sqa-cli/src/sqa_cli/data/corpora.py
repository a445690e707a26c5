"""`sqa-cli data list` and `data show`: the corpora, and what is here of them."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sqa_cli import options as o
from sqa_cli.terminal import entry, say, say_json, table

if TYPE_CHECKING:
    from sqa_data.corpus import Corpus, Split


@click.command("list")
@o.raw
@o.out_folder
@o.json
def list_(raw: Path, out: Path, as_json: bool) -> None:
    """The corpora, one line a split, and what is here of them.

    \b
    here    part, downloaded, unpacked, prepared or verified
    audio   "by hand": part of it must be fetched by you, see `data show NAME`
    """
    from sqa_data import list_corpora
    from sqa_data.sources.records import here

    corpora = list_corpora()
    states = {corpus.name: here(corpus, raw, out) for corpus in corpora}
    if as_json:
        say_json([_record(c, split, state) for c in corpora for split, state in states[c.name].items()])
        return
    splits = [
        [c.name, split, *_sizes(facts), o.kilohertz(c.sample_rates), states[c.name][split]]
        for c in corpora
        for split, facts in c.splits.items()
    ]
    header = ["corpus", "split", "samples", "systems", "hours", "kHz", "here"]
    say(*table(header, splits, right="samples systems hours"), "")
    about = [[c.name, c.licence.name, o.size(_bytes(c)), "by hand" if c.manual else ""] for c in corpora]
    say(*table(["corpus", "licence", "size", "audio"], about, right="size"))


def _sizes(facts: "Split") -> list[str]:
    """The columns samples, systems and hours of a split."""
    return [o.count(facts.samples), o.count(facts.systems), o.number(facts.hours)]


def _bytes(corpus: "Corpus") -> int | None:
    """Size of a corpus's archives together; None where no size is published."""
    return sum(archive.size or 0 for archive in corpus.archives) or None


def _record(corpus: "Corpus", split: str, state: str) -> dict[str, object]:
    """One split of a corpus, for programs."""
    facts = corpus.splits[split]
    return {
        "corpus": corpus.name,
        "split": split,
        "samples": facts.samples,
        "systems": facts.systems,
        "hours": facts.hours,
        "sample_rates": corpus.sample_rates,
        "licence": corpus.licence.name,
        "size": _bytes(corpus),
        "by_hand": bool(corpus.manual),
        "use": corpus.role,
        "note": facts.note,
        "here": state,
        "links": corpus.links,
    }


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
        del facts["parse"]
        say_json(facts)
        return
    splits = [[split, *_sizes(facts), facts.note] for split, facts in corpus.splits.items()]
    say(*entry("corpus", f"{corpus.name}: {corpus.title} ({corpus.role})"), "")
    say(*table(["split", "samples", "systems", "hours", ""], splits, right="samples systems hours"), "")
    say(*_facts(corpus))
    if steps:
        say("", *steps.split("\n"))


def _facts(corpus: "Corpus") -> list[str]:
    """Lines on rates, licence, archives, links and the paper of a corpus."""
    licence = corpus.licence
    lines = entry("rate", f"{o.kilohertz(corpus.sample_rates)} kHz")
    lines += entry("licence", f"{licence.name}: {licence.note}" if licence.note else licence.name)
    lines += entry("", licence.url)
    for archive in corpus.archives:
        known = [o.size(archive.size), archive.checksum or "checksum of first use"]
        lines += entry("archive", f"{archive.name}  ({', '.join(filter(None, known))})")
        for source in archive.sources:
            lines += entry("", str(source))
    if corpus.hub:
        lines += entry("dataset", f"https://huggingface.co/datasets/{corpus.hub.repo}  (parquet)")
    for link in corpus.links:
        lines += entry("link", link)
    return lines + entry("cite", corpus.citation)
