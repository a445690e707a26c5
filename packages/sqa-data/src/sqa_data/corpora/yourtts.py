"""YourTTS: naturalness of zero-shot speech synthesis and voice conversion, rated in English and in Portuguese."""

from collections.abc import Iterator
from pathlib import Path

from sqa_data.corpus import Archive, Corpus, Licence, Rating, Split
from sqa_data.tables import rows

SOURCE = (
    "https://raw.githubusercontent.com/Edresson/YourTTS/23904e6b7158d42cacf2a94dba0791ef69f1e2a9/metrics/MOS/"
)
FILES = {"en": "EN-naturalness-MOS.csv", "pt": "PT-naturalness-MOS.csv"}  # split, also the language -> votes


def parse(root: Path) -> Iterator[Rating]:
    """One vote a row. Both tests have conditions of the same names, and speakers of both languages."""
    # below the label files or one folder down, as the archive was packed
    tops = [path for path in (root, *sorted(root.iterdir())) if (path / "GT").is_dir()]
    base = f"{tops[0].relative_to(root).as_posix()}/" if tops and tops[0] != root else ""
    for split, name in FILES.items():
        for row in rows(root / name, "audio_path", "score", "evaluator_id"):
            audio = row.inside("audio_path")
            yield Rating(
                split=split,
                audio=base + audio,
                sample_id=f"{split}_{audio.removesuffix('.wav').replace('/', '_')}",
                system_id=f"{split}_{condition(audio)}",
                listener_id=row["evaluator_id"],
                value=row.number("score"),
                language=split,
            )


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
    splits={"en": Split(1119, 16, note="22,380 votes"), "pt": Split(530, 13, note="6,604 votes")},
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
        *(Archive(name, (f"{SOURCE}{split.upper()}/naturalness-MOS.csv",)) for split, name in FILES.items()),
    ),
    links=("https://github.com/Edresson/YourTTS/tree/main/metrics/MOS",),
    citation="E. Casanova et al., YourTTS: Towards zero-shot multi-speaker TTS and zero-shot voice conversion for "
    "everyone, ICML 2022",
    label_files=tuple(FILES.values()),
    parse=parse,
    layout="its label files, counted; the folder of the audio by the paths in them",
    assumed=True,
    use=("evaluation",),
)
