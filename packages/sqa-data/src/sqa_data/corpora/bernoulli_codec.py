"""Neural codecs in a MUSHRA test, with every vote: the data set beside the Bernoulli variational codec."""

from collections.abc import Iterator

from sqa_data.corpus import Archive, Corpus, Licence, Rating, Split, Unusable
from sqa_data.errors import DataError
from sqa_data.tables import Row, each_row

SOURCE = (
    "https://raw.githubusercontent.com/BenjSta/bernoulli-var-speech-codec/49b03fe36fa05a77d5cae1d4bd2bdbc62ead290d/"
    "mushra_results_dataset/"
)
# without the listeners that rated the hidden reference below 90 in more than one of eight trials
RATINGS = "ratings_formated_filtered.csv"
FILES = (
    *("audiodec_8", "lyra_32", "lyra_6", "prop_13", "prop_13_16k", "prop_55", "prop_55_16k"),
    "ref",
)
CLIPS = [f"audio/stim_{n:02d}/{name}.wav" for n in range(1, 17) for name in FILES]


@each_row({RATINGS: "test"}, "signal", "condition", "ratings", "participant_ids", "file")
def parse(row: Row, split: str) -> Iterator[Rating | Unusable]:
    ratings, listeners = row.numbers("ratings", 0, 100), row.numbers("participant_ids", 0, 1e6)
    if not ratings or len(ratings) != len(listeners):
        raise DataError(
            f"{row.path}:{row.line}: {len(ratings)} ratings of {len(listeners)} participants; expected one each"
        )
    if not row["file"]:
        yield Unusable(f"{row.path}:{row.line}", "whose audio, the anchor, is not published")
        return
    clip = row.inside("file")
    for value, listener in zip(ratings, listeners, strict=True):
        sample_id = clip.removesuffix(".wav").replace("/", "_")
        yield Rating(split, f"audio/{clip}", sample_id, row["condition"], f"{listener:g}", value)


CORPUS = Corpus(
    name="bernoulli-codec",
    title="Neural codecs, MUSHRA (Stahl et al.)",
    splits={"test": Split(128, 8, note="16 signals by 7 codecs and the reference")},
    sample_rates=(24000,),
    languages=("en",),
    method="MUSHRA",
    scales={"mos": (0, 100)},
    licence=Licence(
        "CC BY 4.0",
        "https://creativecommons.org/licenses/by/4.0/",
        ask=False,
        note="speech of VCTK (CC BY 4.0) and TSP (simplified BSD)",
    ),
    archives=tuple(Archive(name, (SOURCE,)) for name in (RATINGS, *CLIPS)),
    links=("https://github.com/BenjSta/bernoulli-var-speech-codec",),
    citation="B. Stahl, S. Windtner, A. Sontacchi, A bitrate-scalable variational recurrent mel-spectrogram coder "
    "for real-time resynthesis-based speech coding, IEEE Access 2024",
    parse=parse,
    layout="its files: stereo, 24 kHz; rows counted",
    use=("evaluation",),
)
