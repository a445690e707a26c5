"""YourTTS: naturalness and similarity of zero-shot synthesis and voice conversion, in English and Portuguese."""

from collections.abc import Iterator
from pathlib import Path

from sqa_data.corpus import Archive, Corpus, Licence, Rating, Split
from sqa_data.errors import DataError
from sqa_data.tables import Row, below, rows

SOURCE = (
    "https://raw.githubusercontent.com/Edresson/YourTTS/23904e6b7158d42cacf2a94dba0791ef69f1e2a9/metrics/MOS/"
)
# split -> votes; the name here -> the one there. Similarity is rated of clips and a recording of the same speaker
FILES = {
    "en": {"EN-naturalness-MOS.csv": "EN/naturalness-MOS.csv", "EN-Sim-MOS.csv": "EN/Sim-MOS.csv"},
    "pt": {"PT-naturalness-MOS.csv": "PT/naturalness-MOS.csv", "PT-Sim-MOS.csv": "PT/Sim-MOS.csv"},
    "en-pt": {"EN-PT-Sim-MOS.csv": "EN-PT/Sim-MOS.csv"},
}
NAMES = {name: there for files in FILES.values() for name, there in files.items()}
COLUMNS = ("audio_path", "score", "evaluator_id")


def parse(root: Path) -> Iterator[Rating]:
    """One vote a row. The tests have conditions of the same names, and speakers of both languages."""
    # below the label files or one folder down, as the archive was packed
    tops = [path for path in (root, *sorted(root.iterdir())) if (path / "GT").is_dir()]
    base = f"{tops[0].relative_to(root).as_posix()}/" if tops and tops[0] != root else ""
    for split, names in FILES.items():
        for name in names:
            similar = "Sim" in name
            for row in rows(root / name, *COLUMNS):
                audio = _rated(row) if similar else row.inside("audio_path")
                yield Rating(
                    split=split,
                    audio=base + audio,
                    sample_id=f"{split}_{audio.removesuffix('.wav').replace('/', '_')}",
                    system_id=f"{split}_{condition(audio)}",
                    listener_id=row["evaluator_id"],
                    value=row.number("score"),
                    label="mos_similarity" if similar else "mos",
                    language=split if split in CORPUS.languages else None,
                )


def _rated(row: Row) -> str:
    """The first of the two clips of a row: "rated.wav, reference/original.wav"."""
    audio, comma, reference = row["audio_path"].partition(", ")
    if not comma or not reference:
        raise DataError(
            f"{row.path}:{row.line}: audio_path is {row['audio_path']!r}; expected the clip and a recording of the "
            "speaker, as a.wav, reference/b.wav"
        )
    return below(audio, row.path, row.line)


def condition(audio: str) -> str:
    """The model behind a clip, as in the paper's table: two folders, and more where these hold several.

    >>> condition("Exp.1/model+SCL/English_VCTK_SECS/p225_1.wav"), condition("GT/VCTK/p225/p225_1.wav")
    ('Exp.1_model+SCL', 'GT_VCTK')
    >>> condition("Exp.5/English/After-FT-1-min/F-1.5k/x.wav"), condition("Exp.6/EN-PT/F-M/generated/x.wav")
    ('Exp.5_English_After-FT-1-min_F-1.5k', 'Exp.6_EN-PT')
    """
    folders = audio.split("/")[:-1]
    several = folders[0] == "Exp.5" or folders[1:2] == ["Speaker_Adaptation"]
    return "_".join(folders if several else folders[:2])


CORPUS = Corpus(
    name="yourtts",
    title="YourTTS (zero-shot synthesis and voice conversion)",
    splits={
        "en": Split(1119, 16, note="22,380 votes on naturalness, 14,132 on similarity"),
        "pt": Split(530, 13, note="6,604 votes on naturalness, 7,061 on similarity"),
        "en-pt": Split(127, 2, note="2,998 votes on similarity alone", again=("en", "pt")),
    },
    sample_rates=(),
    languages=("en", "pt"),
    licence=Licence(
        "CC BY-NC-ND 4.0",
        "https://creativecommons.org/licenses/by-nc-nd/4.0/",
        ask=True,
        note="no commercial use, and nothing derived from it may be passed on",
    ),
    archives=(
        Archive("Audios_MOS.zip", ("https://github.com/Edresson/YourTTS/releases/download/MOS/",)),
        *(Archive(name, (SOURCE + there,)) for name, there in NAMES.items()),
    ),
    links=("https://github.com/Edresson/YourTTS/tree/main/metrics/MOS",),
    citation="E. Casanova et al., YourTTS: Towards zero-shot multi-speaker TTS and zero-shot voice conversion for "
    "everyone, ICML 2022",
    label_files=tuple(NAMES),
    parse=parse,
    layout="its label files, counted; the folder of the audio by the paths in them",
    assumed=True,
    columns=dict.fromkeys(NAMES, COLUMNS),
    use=("evaluation",),
)
