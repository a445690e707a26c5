"""ODAQ: coded and processed music and film sound in a MUSHRA test."""

from sqa_data.corpora._odaq import AUDIO, COLUMNS, LICENCE, votes
from sqa_data.corpus import Archive, Corpus, Split

RESULTS = f"{AUDIO}/*.xml"

CORPUS = Corpus(
    name="odaq",
    title="ODAQ, open dataset of audio quality (music, film sound with dialogue)",
    splits={
        "test": Split(
            240,
            note="26 listeners at two laboratories; not read, as no layout could be seen: zenodo 17162670 (stereo "
            "coding, 176 clips) and 18184035 (neural speech codecs, 99 and 99)",
        )
    },
    sample_rates=(44100, 48000),
    method="MUSHRA",
    scales={"mos": (0, 100)},
    licence=LICENCE,
    archives=(
        Archive(
            "ODAQ.zip",
            ("https://zenodo.org/records/10405774/files/",),
            size=1_048_071_792,
            checksum="md5:9b4c1eba479ea698995798523eb80999",
        ),
    ),
    links=("https://zenodo.org/records/10405774", "https://github.com/Fraunhofer-IIS/ODAQ"),
    citation="M. Torcoli et al., ODAQ: Open dataset of audio quality, ICASSP 2024",
    label_files=(RESULTS,),
    parse=votes(RESULTS),
    layout="its authors' script and another public one, which read the results",
    assumed=True,
    columns={RESULTS: COLUMNS},
    use=("evaluation",),
)
