"""BVCC: speech synthesis and voice conversion, 187 systems of past challenges rated in one test."""

from sqa_data.corpora import _blizzard
from sqa_data.corpora._voicemos import ARCHIVES_BYTES, BASELINE_IDS, BLIZZARD, LABEL_FILES, MANUAL, parse
from sqa_data.corpus import Archive, Corpus, PickedClips, Split

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
    # the second is a newer version, whose main.tar.gz has MD5 ba4b896801282ca0eae37b9fd81ed94c; what changed: ?
    links=("https://zenodo.org/records/6572573", "https://zenodo.org/records/10691660"),
    citation="E. Cooper, J. Yamagishi, How do voices from past speech synthesis challenges compare today?, "
    "SSW 2021",
    label_files=LABEL_FILES,
    parse=parse,
    baseline_ids=BASELINE_IDS,
    contains=("vcc2018", "vcc2018-ldnet", "vcc2020"),
    manual=MANUAL,
    wavs=7106,  # 4,974 + 1,066 + 1,066; the baseline drops one rated clip that has no transcription
    picked=PickedClips(
        _blizzard.archives("2008", "2009", "2010", "2011", "2013", "2016"),
        _blizzard.plan,
        _blizzard.write_clip,
        size=ARCHIVES_BYTES,  # at most: BC19's 2019 is among them
    ),
)
