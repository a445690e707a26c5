"""MANGO: Hindi and Tamil text-to-speech in MUSHRA tests of a hundred listeners each."""

from collections.abc import Iterator

from sqa_data.corpus import CC_BY, Corpus, HubDataset, Rating, Split
from sqa_data.tables import Row, below, each_row

FILES = {"csvs/hindi_mushra.csv": "hi", "csvs/tamil_mushra.csv": "ta"}  # -> split, also the language
SYSTEMS = ("FS2", "ST2", "VITS", "ANC", "REF")  # as in the paper; the last are anchor and hidden reference
AUDIO = "1test_samples_22k"


@each_row(FILES, "rater_id", "utterance_id", *SYSTEMS)
def parse(row: Row, split: str) -> Iterator[Rating]:
    """One page of one listener: an utterance as all systems say it. Both languages name their systems alike."""
    utterance = below(row["utterance_id"], row.path, row.line).removesuffix(".wav")
    for system in SYSTEMS:
        yield Rating(
            split=split,
            audio=f"{AUDIO}/{split}/{system}/{utterance}.wav",
            sample_id=f"{split}_{system}_{utterance.replace('/', '_')}",
            system_id=f"{split}_{system}",
            listener_id=row["rater_id"],
            value=row.number(system, 0, 100),
            language=split,
        )


CORPUS = Corpus(
    name="mango",
    title="MANGO (Hindi and Tamil text-to-speech)",
    splits={
        "hi": Split(500, 5, note="100 utterances, 113 listeners, 11,300 pages"),
        "ta": Split(
            500,
            5,
            note="100 utterances, 100 listeners, 10,000 pages; NMR, DG, DG-NMR and the English test are not read",
        ),
    },
    sample_rates=(22050,),
    languages=("hi", "ta"),
    method="MUSHRA",
    scales={"mos": (0, 100)},
    licence=CC_BY,
    archives=(),
    hub=HubDataset("ai4bharat/MANGO", files=(*FILES, f"*{AUDIO}/*")),
    links=("https://huggingface.co/datasets/ai4bharat/MANGO", "https://arxiv.org/abs/2411.12719"),
    citation="P. S. Varadhan et al., Rethinking MUSHRA: Addressing modern challenges in text-to-speech evaluation, "
    "TMLR 2025",
    parse=parse,
    layout="its paper (scale, systems, counts) and the names of its tables and of the folder of its clips; the columns "
    "and the paths of clips could not be seen and are a guess",
    assumed=True,
    use=("evaluation",),
)
