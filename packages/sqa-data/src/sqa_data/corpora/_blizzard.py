"""Clips of the Blizzard Challenges: which archive holds each, where, and what VoiceMOS 2022 calls it.

The rules are those of the scripts 01_get.py, 02_gather.py and 03_preprocess.py, which come with the labels. The list
of clips is `gather.scp`, beside the folder DATA: `BC2008-A-news_2008_0001.wav`, or with a part in between,
`BC2011-B-news-news_2011_0001.wav`.
"""

import io
from collections import defaultdict
from hashlib import md5
from pathlib import Path, PurePosixPath

import numpy as np

from sqa_data.corpus import Archive
from sqa_data.errors import AudioError, DataError
from sqa_data.lines import open_lines

LINKS = "https://data.cstr.ed.ac.uk/blizzard/wavs_and_scores/"
CHECKSUMS = {
    "2008": "5360686aac07ffe22420ffd00c90ea74",
    "2009": "1ffdf2c0ddb5f2e0c97908a70d0302b2",
    "2010": "e60d504c4e3a95d7792e6fd056e74aec",
    "2011": "8e59a48f88568f86d1962644fdd568c5",
    "2013": "837e20399409393332322fdd59d114de",
    "2016": "fff9d42a97161835f2545e02e5392e06",
    "2019": "d99e6b7a8f6ec9219eec0e75d209de61",
}
# of year, system and kind of text; below the archive's own folder
FOLDERS = {
    "2008": "{system}/submission_directory/english/full/2008/{kind}",
    "2009": "{system}/submission_directory/english/EH1/2009/{kind}/wavs",
    "2010": "{system}/submission_directory/english/EH1/2010/{kind}/wavs",
    "2011": "{system}/submission_directory/2011/{kind}/wav",
    "2013": "{system}/submission_directory/2013/{task}-English/{kind}/wav",
    "2016": "{system}/submission_directory/2016/audiobook/wav",
    "2019": "{system}/submission_directory/2019/celebrity/wav",
}
# a clip that the scripts replace by a file which comes with them
SILENCE = {"sys4bafa-uttc2e86f6.wav": "silence.wav"}

RATE = 16000  # Hz of the clips
LEVEL_DBOV = -26.0


def stem(year: str) -> str:
    """Name of a year's archive without suffixes, and of the one folder in it."""
    return f"blizzard_wavs_and_scores_{year}_release_version_{2 if year == '2013' else 1}"


def archives(*years: str) -> tuple[Archive, ...]:
    """The archives of these years."""
    return tuple(
        Archive(f"{stem(year)}.tar.bz2", (LINKS,), checksum=f"md5:{CHECKSUMS[year]}") for year in years
    )


def member(year: str, system: str, kind: str, file: str) -> str:
    """Path of a clip in the archive of its year.

    >>> member("2013", "B", "booksent", "booksent_2013_0001.wav").partition("/")[2]
    'B/submission_directory/2013/EH2-English/audiobook_sentences/wav/booksent_2013_0001.wav'
    """
    task = "EH2" if system == "B" else "EH1"
    kind = "audiobook_sentences" if (year, kind) == ("2013", "booksent") else kind
    return f"{stem(year)}/{FOLDERS[year].format(system=system, kind=kind, task=task)}/{file}"


def clip_name(year: str, system: str, file: str) -> str:
    """What VoiceMOS 2022 calls a clip: hashes of its names, read backwards.

    >>> clip_name("2008", "A", "news_2008_0001.wav")
    'sys64e2f-uttceeaafc.wav'
    """

    def backwards(text: str, start: int, stop: int) -> str:
        # hides the names from listeners' eyes; no secret
        return md5(text[::-1].encode(), usedforsecurity=False).hexdigest()[start:stop][::-1]

    name = f"BC{year}-{system}"
    return f"sys{backwards(name, 0, 5)}-utt{backwards(f'{name}-{file}'.split('.')[0], 4, 11)}.wav"


def plan(root: Path) -> dict[str, dict[str, str]]:
    """Archive -> member -> clip, of every clip in the `gather.scp` that lies beside the folder DATA (`root`).

    Lines of other challenges are left out: their clips come with the labels. Nothing where the list is not here, as
    beside a folder DATA that was made by hand.
    """
    path = root.parent / "gather.scp"
    found: dict[str, dict[str, str]] = defaultdict(dict)
    taken: dict[str, str] = {}
    for number, content in open_lines(path) if path.exists() else ():
        line = content.decode("utf-8", "replace").strip()
        if not line.startswith("BC"):
            continue
        year, *parts = line.removeprefix("BC").split("-")
        where = f"{path}:{number}: {line!r}"
        if year not in FOLDERS or len(parts) < 2 or PurePosixPath(line).name != line or "\\" in line:
            raise DataError(
                f"{where} is no clip; expected such as BC2008-A-news_2008_0001.wav, of "
                f"{', '.join(FOLDERS)}. Fetch the archive with the labels anew"
            )
        system, kind, file = parts[0], parts[1].split("_")[0], parts[-1]
        clip = clip_name(year, system, file)
        if taken.setdefault(clip, line) != line:
            raise DataError(
                f"{where} is called {clip}, as {taken[clip]!r} is; expected one name for one clip"
            )
        if clip in SILENCE:
            found[""][SILENCE[clip]] = f"wav/{clip}"
        else:
            found[f"{stem(year)}.tar.bz2"][member(year, system, kind, file)] = f"wav/{clip}"
    return found


def write_clip(content: bytes, path: Path) -> None:
    """Write a clip of an archive as the scripts do: 16 kHz, 16-bit WAV, active speech level -26 dBov.

    Where sox resampled to, soxr's `HQ` is the same filter: after the level, samples differ by at most a few units of
    16 bits (six, in 59 clips), and levels by less than 0.001 dB. A clip of 16 kHz equals theirs.

    Raises AudioError: no audio, more than one channel. OSError where it cannot be written.
    """
    import soundfile

    from sqa_data.audio import hear, look
    from sqa_data.audio.level import with_active_level
    from sqa_data.audio.resampling import resampled

    heard = hear(io.BytesIO(content))
    if heard.samples.shape[1] != 1:
        raise AudioError(f"{heard.samples.shape[1]} channels; expected one")
    samples = heard.samples[:, 0].astype(np.float64)
    samples = resampled(samples, heard.sample_rate, RATE)
    pcm = np.clip(np.rint(samples * 32768), -32768, 32767).astype(np.int16)
    levelled = with_active_level(pcm, RATE, LEVEL_DBOV)
    with path.open("wb") as file:
        soundfile.write(file, levelled, RATE, format="WAV", subtype="PCM_16")
    if look(path).frames != len(levelled):
        raise OSError(f"{path.name} is shorter on the disk than it was written")
