"""AudioMOS Challenge 2025, track 3: speech at three sampling rates, rated in a test for each and in a mixed one."""

from collections.abc import Iterator
from pathlib import Path

from sqa_data.corpus import Archive, Corpus, Licence, Rating, Split
from sqa_data.errors import DataError
from sqa_data.lines import open_lines
from sqa_data.tables import Row, rows

PREFIX = "audiomos-track3-"
SYSTEMS = "sysMap.txt"  # lines "name|sysN"
COLUMNS = ("uttID", "lisID", "rating")
RATES = ("16k", "24k", "48k")
SINGLE = {f"single_{rate}": f"train/utt_{rate}.csv" for rate in RATES}
TESTS = SINGLE | {"mixed_dev": "val/utt_mix_val.csv", "mixed_test": "test/utt_mix_test.csv"}


def parse(root: Path) -> Iterator[Rating]:
    names = [line.decode(errors="replace").split("|")[0].strip() for _, line in open_lines(root / SYSTEMS)]
    systems = sorted(names, key=len, reverse=True)  # nvSR before nv
    for test, name in TESTS.items():
        for row in rows(root / name, *COLUMNS):
            clip = row.inside("uttID").removesuffix(".wav")
            yield Rating(
                test,
                f"wav/{clip}.wav",
                f"{test}_{clip}",  # a clip and a system have another MOS in each test
                f"{test}_{_condition(clip, systems, row)}",
                f"{test}_{row['lisID']}",  # the numbers of listeners start anew in each
                row.number("rating"),
                language="ja" if "Seikatsu" in clip else "en",
            )


def _condition(clip: str, systems: list[str], row: Row) -> str:
    """Rate and system of a clip such as audiomos-track3-24k_originalSR_1089_134686_000015_000002."""
    rate, _, rest = clip.removeprefix(PREFIX).partition("_")
    system = next((system for system in systems if rest.startswith(f"{system}_")), None)
    if rate not in RATES or system is None:
        raise DataError(
            f"{row.path}:{row.line}: {clip!r}; expected {PREFIX}RATE_SYSTEM_SENTENCE with a system of {SYSTEMS}"
        )
    return f"{rate}_{system}"


CORPUS = Corpus(
    name="amc25-track3",
    title="AudioMOS Challenge 2025, track 3",
    splits={
        **{test: Split(None, note=f"heard among clips at {test[-3:]} alone") for test in SINGLE},
        "mixed_dev": Split(None, note="the clips of single_*, heard among all rates", again=tuple(SINGLE)),
        "mixed_test": Split(None, note="all five hold 800 clips of 20 conditions"),
    },
    sample_rates=(16000, 24000, 48000),
    languages=("en", "ja"),
    licence=Licence(
        "?", "https://huggingface.co/Scicom-intl/HighRateMOS-VoiceMOS2025", ask=True, note="none is stated"
    ),
    archives=(
        Archive("track3_post_eval_distro.tar.gz", ("hf://models/Scicom-intl/HighRateMOS-VoiceMOS2025/",)),
    ),
    links=("https://huggingface.co/Scicom-intl/HighRateMOS-VoiceMOS2025",),
    citation="W.-C. Huang et al., The AudioMOS Challenge 2025, ASRU 2025",
    label_files=(SYSTEMS, *TESTS.values()),
    parse=parse,
    layout="a public script that reads it",
    assumed=True,
    columns=dict.fromkeys(TESTS.values(), COLUMNS),
)
