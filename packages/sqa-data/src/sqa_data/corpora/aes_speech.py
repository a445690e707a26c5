"""Audiobox Aesthetics, natural speech: ten listeners on four axes from 0 to 10; the audio is of other corpora."""

from collections.abc import Iterator
from pathlib import Path

from sqa_data.corpus import Archive, Corpus, Licence, Opinion, Rating, Split, Unusable
from sqa_data.errors import DataError
from sqa_data.lines import Wrong, open_lines, parse_object
from sqa_data.tables import below, number

LABELS = "AES_natural_speech.jsonl"
PLACE = "/your_path/"  # stands in the list for the folder of the corpora
AXES = {
    "Production_Quality": "aes_production_quality",
    "Production_Complexity": "aes_production_complexity",
    "Content_Enjoyment": "aes_content_enjoyment",
    "Content_Usefulness": "aes_content_usefulness",
}
MANUAL = """\
The audio is of three corpora that you fetch, or link, as folders of {home}/; what is not there is left out.
  LibriTTS/                    https://openslr.org/60/
  EARS/                        https://sp-uhh.github.io/ears_dataset/
  cv-corpus-13.0-2023-03-09/   https://commonvoice.mozilla.org/en/datasets"""


def parse(root: Path) -> Iterator[Opinion]:
    """A clip a line, with a list of ratings of each axis, whose listeners have no names."""
    path = root / LABELS
    for line, content in open_lines(path):
        try:
            row = parse_object(content)
        except Wrong as error:
            raise DataError(f"{path}:{line}: {error}") from None
        audio = below(str(row.get("data_path")).removeprefix(PLACE), path, line)
        sample_id = audio.rsplit(".", 1)[0].replace("/", "_")
        found: list[Rating] = []
        for axis, label in AXES.items():
            given = row.get(axis)
            if not isinstance(given, list) or not given:
                raise DataError(f"{path}:{line}: {axis} is {given!r}; expected a list of ratings")
            values = [number(str(value), axis, path, line, 0, 10) for value in given]
            found += [Rating("test", audio, sample_id, None, None, value, label) for value in values]
        if (root / audio).is_file():
            yield from found
        else:
            yield Unusable(f"{path}:{line}", f"whose audio of {audio.split('/')[0]} is not at hand")


CORPUS = Corpus(
    name="aes-speech",
    title="Audiobox Aesthetics, natural speech",
    splits={"test": Split(950, note="500 of Common Voice, 300 of LibriTTS, 150 of EARS")},
    sample_rates=(),
    languages=("en",),
    method="ACR",
    scales=dict.fromkeys(AXES.values(), (0, 10)),
    licence=Licence(
        "CC BY 4.0",
        "https://github.com/facebookresearch/audiobox-aesthetics",
        ask=False,
        note="the audio has the terms of its three corpora",
    ),
    archives=(
        Archive(
            LABELS,
            (
                "https://raw.githubusercontent.com/facebookresearch/audiobox-aesthetics/"
                "2618e9d451b456e9328b39495b5e6234678aa550/evaluation_data/AES_natural_speech.jsonl",
            ),
        ),
    ),
    links=("https://github.com/facebookresearch/audiobox-aesthetics",),
    citation="A. Tjandra et al., Meta Audiobox Aesthetics: Unified automatic quality assessment for speech, music, "
    "and sound, 2025",
    label_files=(LABELS,),
    parse=parse,
    layout="its label file, counted",
    use=("evaluation",),
    manual=MANUAL,
)
