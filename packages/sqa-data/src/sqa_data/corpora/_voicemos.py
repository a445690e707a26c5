"""The two corpora of the VoiceMOS Challenge 2022 share one layout: no header, one rating a line.

sys64e2f,sys64e2f-utt9c183cd.wav,4,VDP1ovyrBzg8_1,{}_30-39_bZPQE7w4Zl3g_Female_Valid_1_No
"""

from collections.abc import Iterator
from pathlib import Path

from sqa_data.baseline import BaselineIds, after_dash
from sqa_data.corpus import Licence, Rating
from sqa_data.errors import DataError
from sqa_data.tables import number, read_rows

SETS = {"train": "TRAINSET", "dev": "DEVSET", "test": "TESTSET"}
LABEL_FILES = tuple(f"sets/{name}" for name in SETS.values())

BASELINE_IDS = BaselineIds(("sys64e2f-utt9c183cd", "sys64e2f"), sample=after_dash)

BLIZZARD = Licence(
    "custom (Blizzard Challenge)",
    "https://www.cstr.ed.ac.uk/projects/blizzard/data.html",
    ask=True,
    note="the audio of Blizzard systems may not be passed on; each user accepts the Blizzard terms",
)
# of the archives of all years together; what share each corpus has of it is not published
ARCHIVES_BYTES = 74_000_000_000
MANUAL = f"""\
The audio of the Blizzard Challenge systems may not be passed on, so it comes in archives of its own (about
{ARCHIVES_BYTES // 10**9} GB for BVCC and BC19 together):
  sqa-cli data download {{name}} --licence-ok {{name}}    `prepare` takes the rated clips out of them
Or by hand, as the challenge did it:
  1. sqa-cli data download {{name}} --only {{archive}} --unpack
  2. cd {{folder}}
  3. python 01_get.py         accept the Blizzard licence, downloads the original audio
  4. python 02_gather.py      collects the rated clips
  5. python 03_preprocess.py  needs sox and the ITU-T G.191 tool sv56demo; writes DATA/wav at 16 kHz
Complete means {{wavs:,}} files in DATA/wav. `prepare --partial` takes what is there."""


def parse(root: Path) -> Iterator[Rating]:
    for split, name in SETS.items():
        path = root / "sets" / name
        for line, row in read_rows(path):
            if len(row) < 5:
                raise DataError(
                    f"{path}:{line}: {len(row)} fields; expected system, clip, rating, test, listener"
                )
            system_id, clip, rating, _, listener_id = row[:5]
            sample_id = clip.removesuffix(".wav")  # BC19 leaves the suffix out
            if not sample_id.startswith(f"{system_id}-"):
                raise DataError(f"{path}:{line}: clip {clip!r} is not of system {system_id!r}")
            value = number(rating, "the rating", path, line)
            yield Rating(split, f"wav/{sample_id}.wav", sample_id, system_id, listener_id, value)
