"""PSTN: real telephone calls of the ConferencingSpeech 2022 challenge."""

from collections.abc import Iterator

from sqa_data.baseline import BaselineIds
from sqa_data.corpus import Archive, Corpus, Licence, Sample, Split
from sqa_data.tables import Row, each_row


@each_row({"pstn_train.csv": "train"}, "filename", "MOS", "std?", "votes?")
def parse(row: Row, split: str) -> Iterator[Sample]:
    clip, mos, std = row.inside("filename"), row.number("MOS"), row.number_or_none("std", 0, 4)
    sample_id = clip.rsplit(".", 1)[0].split("_")[0]
    # calls were not grouped by system
    yield Sample(split, clip, sample_id, None, {"mos": mos}, row.votes("votes"), std)


CORPUS = Corpus(
    name="pstn",
    title="PSTN (ConferencingSpeech 2022)",
    splits={"train": Split(58709, None, 163.08, "1 to 10 votes a clip, 4.6 on average")},
    sample_rates=(8000,),
    licence=Licence(
        "unknown",
        "https://github.com/ConferencingSpeech/ConferencingSpeech2022",
        ask=True,
        note="published for the challenge without a licence for the audio",
    ),
    archives=(Archive("train.zip", ("https://challenge.blob.core.windows.net/pstn/",)),),
    links=("https://github.com/ConferencingSpeech/ConferencingSpeech2022",),
    citation="G. Yi et al., ConferencingSpeech 2022 challenge: Non-intrusive objective speech quality assessment "
    "challenge for online conferencing applications, Interspeech 2022",
    parse=parse,
    baseline_ids=BaselineIds(("000000", None)),
)
