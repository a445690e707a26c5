"""ODAQ rated once more, at Ball State University: the same clips, other listeners."""

from sqa_data.corpora._odaq import COLUMNS, LICENCE, votes
from sqa_data.corpus import Archive, Corpus, Split

RESULTS = "ODAQ_v1_BSU/Cohort_*/*.xml"

CORPUS = Corpus(
    name="odaq-bsu",
    title="ODAQ rated anew at Ball State University",
    splits={"test": Split(240, note="16 listeners in two cohorts")},
    sample_rates=(44100, 48000),
    method="MUSHRA",
    scales={"mos": (0, 100)},
    licence=LICENCE,
    archives=(Archive("ODAQ_v1_BSU.zip", ("https://zenodo.org/records/13377284/files/",)),),
    links=("https://zenodo.org/records/13377284",),
    citation="S. Dick et al., Expanding and analyzing ODAQ, the open dataset of audio quality, AES 157, 2024",
    label_files=(RESULTS,),
    parse=votes(RESULTS),
    layout="its authors' script and another public one, which read the results",
    assumed=True,
    columns={RESULTS: COLUMNS},
    audio_of="odaq",
    use=("evaluation",),
)
