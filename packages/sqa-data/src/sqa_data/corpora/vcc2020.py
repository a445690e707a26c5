"""VCC 2020: the Voice Conversion Challenge 2020, audio quality by English and by Japanese listeners."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqa_data.corpus import Archive, Corpus, Licence, Rating, Split, Unusable
from sqa_data.errors import DataError
from sqa_data.tables import below, number, read_json

SOURCE = (
    "https://raw.githubusercontent.com/nii-yamagishilab/VCC2020-listeningtest/"
    "31f913cd53abcc9c8bb661944194a2e5d9f23e84/"
)
SCORES = "VCC2020-listeningtest-info/VCC202-listeningtest-scores/VCC2020-scores-"  # "VCC202" as published
TESTS = {"english": f"{SCORES}EnglishListeners.json", "japanese": f"{SCORES}JapaneseListeners.json"}
QUALITY = "Grade5"  # the question of audio quality; the other one is similarity, of pairs
LANGUAGES = {"E": "en", "F": "fi", "G": "de", "M": "zh"}  # by the first letter of a sentence
FOLDERS = {"team34": "SOU", "ref": "TAR"}  # natural speech of source and target speakers


def parse(root: Path) -> Iterator[Rating | Unusable]:
    for split, name in TESTS.items():
        path = root / name
        try:
            scores = read_json(path)["result"]["scores"]
            for at, score in enumerate(scores):
                if score["question"]["evaluation_method"] == QUALITY:
                    yield _of_score(score, f"{path}: score {at}", split)
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(
                f'{path}: found no {error}; expected {{"result": {{"scores": [{{"score_value", "listener", '
                '"question", "samples"}]}} of the listening test'
            ) from None


def _of_score(score: dict[str, Any], where: str, split: str) -> Rating | Unusable:
    if score["listener"]["state"] != "Valid":
        return Unusable(where, "by listeners whom the organisers call invalid")
    clip, system_id = (
        str(x)
        for x in (
            score["samples"]["sample_a"]["name"],
            score["samples"]["sample_a"]["system"]["abbreviation"],
        )
    )
    speakers, _, sentence = clip.rpartition("_")  # team14_intra-TEM1_SEM1_E30001, ref-TFM1_F40021
    if not speakers.startswith(f"{system_id}-") or sentence[:1] not in LANGUAGES:
        raise DataError(f"{where}: clip {clip!r} of system {system_id!r}; expected SYSTEM-SPEAKERS_SENTENCE")
    team = system_id.partition("_")[0]
    folder = FOLDERS.get(team) or team.replace("team", "T")
    # the target speakers of task 1 are English, and named so
    task = "task1" if system_id.endswith("_intra") or speakers.startswith("ref-TE") else "task2"
    return Rating(
        split,
        below(f"{folder}/{task}/{clip}.wav", Path(where), 1),
        f"{split}_{clip}",  # clips and systems have another MOS by each group of listeners
        f"{split}_{system_id}",
        score["listener"]["listener_id"],
        number(str(score["score_value"]), "score_value", Path(where), 1),
        language=LANGUAGES[sentence[0]],
    )


CORPUS = Corpus(
    name="vcc2020",
    title="Voice Conversion Challenge 2020",
    splits={
        "english": Split(6090, 62, note="votes of English listeners"),
        "japanese": Split(
            6090, 62, note="Japanese listeners: another test, never one ranking", again=("english",)
        ),
    },
    sample_rates=(24000,),
    languages=tuple(sorted(LANGUAGES.values())),
    licence=Licence(
        "CC BY 4.0; audio ODbL 1.0",
        "https://github.com/nii-yamagishilab/VCC2020-listeningtest",
        ask=False,
        note="the scores CC BY; a database made of the audio carries the ODbL too",
    ),
    archives=(
        Archive(
            "VCC2020-listeningtest-info.zip",
            (SOURCE,),
            size=3_314_859,
            checksum="sha256:9f7cebde16895cef63f9fc3c2738ca29a186eb9206ec773c55a07a0ca6dc5313",
        ),
        *(Archive(f"{name}.zip", (SOURCE,)) for name in ("SOU", "TAR", *(f"T{n:02}" for n in range(1, 34)))),
    ),
    links=("https://github.com/nii-yamagishilab/VCC2020-listeningtest", "https://zenodo.org/records/4433173"),
    citation="Y. Zhao et al., Voice Conversion Challenge 2020: Intra-lingual semi-parallel and cross-lingual voice "
    "conversion, Joint Workshop for the Blizzard Challenge and Voice Conversion Challenge 2020",
    label_files=tuple(TESTS.values()),
    parse=parse,
    layout="its label files, counted; the folders of the audio in its read-me",
)
