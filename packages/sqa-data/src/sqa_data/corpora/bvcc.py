"""BVCC: speech synthesis and voice conversion, 187 systems of past challenges rated in one test."""

from sqa_data.corpora._voicemos import BLIZZARD, LABEL_FILES, MANUAL, parse
from sqa_data.corpus import Archive, Corpus, Split

CORPUS = Corpus(
    name="bvcc",
    title="BVCC (VoiceMOS Challenge 2022, main track)",
    splits={"train": Split(4974, 175, 5.56), "dev": Split(1066, 181), "test": Split(1066, 187)},
    sample_rates=(16000,),
    languages=("en",),
    licence=BLIZZARD,
    archives=(
        Archive(
            "main.tar.gz",
            ("https://zenodo.org/records/6572573/files/",),
            checksum="md5:fc880c2a208c3285a47bd9a64f34eb11",
        ),
    ),
    links=("https://zenodo.org/records/6572573",),
    citation="E. Cooper, J. Yamagishi, How do voices from past speech synthesis challenges compare today?, "
    "SSW 2021",
    label_files=LABEL_FILES,
    parse=parse,
    manual=MANUAL,
    wavs=7106,  # 4,974 + 1,066 + 1,066; the baseline drops one rated clip that has no transcription
)
