"""The quality metrics that can label a corpus: one adapter a metric, on the library that people trust for it.

An adapter is a function `load(device, fast) -> score` in a module of this package; `score(clip)` takes `Signals` and
returns `{label: value}`, and raises `ClipError` for a clip that has no value. Nothing heavy is imported before `load`
is called. Adding a metric is one such function, one line in `ADAPTERS` and one in `sqa_data.labels.RANGES`. Every
value equals what the library itself gives for the same file (the tests compare).
"""

import importlib.metadata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from sqa_data.errors import DataError
from sqa_data.labellers.signals import ClipError, Signals
from sqa_data.labels import valid_range

__all__ = ["ADAPTERS", "LABELS", "Adapter", "ClipError", "Signals", "adapter_of"]

Score = Callable[[Signals], Mapping[str, float]]


@dataclass(frozen=True)
class Adapter:
    """One library's metrics: what they label, where the code is, what must be installed."""

    labels: tuple[str, ...]
    load: str  # "module:function" of this package, imported on use
    distribution: str  # whose version is part of a value's identity
    source: str = ""  # paper or standard
    rate: str = "own"  # of the signals that it hears: "16 kHz", or "own", the clip's
    verified: str = ""  # against what the tests hold it
    bounds: tuple[float, float] | None = None  # what it gives, where the label of others may be more
    needs_reference: bool = False
    has_fast: bool = False  # whether it offers lower precision
    # counts changes of our own code that change values; 2: one rule of channels and of silence, soxr's own lengths
    revision: int = 2
    install: str = "pip install 'sqa-data[annotate]'"

    @property
    def module(self) -> str:
        """The module of this package that it is in."""
        return self.load.partition(":")[0]

    @property
    def name(self) -> str:
        """The adapter's name: its function."""
        return self.load.partition(":")[2]

    def bounds_of(self, label: str) -> tuple[float, float]:
        """The lowest and highest value that it can give."""
        return self.bounds or valid_range(label)

    def version(self, fast: bool = False) -> str:
        """What makes two values comparable, such as "pesq:pesq-0.0.4.1": adapter, library, its version, our revision.

        `DataError` with the command to install it where the library is absent.
        """
        try:
            found = importlib.metadata.version(self.distribution)
        except importlib.metadata.PackageNotFoundError as error:
            raise DataError(
                f"{', '.join(self.labels)}: the package {self.distribution!r} is not installed; "
                f"{self.install}"
            ) from error
        precision = "+fast" if fast and self.has_fast else ""
        return f"{self.name}:{self.distribution}-{found}.{self.revision}{precision}"


CHANNELS = "mean"  # of all channels, for every label
CHALLENGE = "the URGENT challenge's code"
PACKAGE = "the package itself"
STAND_IN = "a stand-in for its weights"
CLAMPED = (-50.0, 50.0)
MCD = "pip install 'sqa-data[mcd]'"
# its metadata asks for numpy < 2 without need; built against the numpy that is here, it works
PESQC2 = "pip install cython setuptools && pip install --no-cache-dir --no-deps --no-build-isolation pesqc2"
TRANSFORMERS = "pip install transformers torch"
NISQA = "pip install torchmetrics librosa requests"
SIGMOS = tuple(f"sigmos_{name}" for name in ("ovrl", "col", "disc", "loud", "noise", "reverb", "sig"))
alone = partial(Adapter, rate="16 kHz")
compared = partial(Adapter, needs_reference=True)

ADAPTERS = (
    alone(
        ("distill_mos",),
        "from_package:distill_mos",
        "distillmos",
        "Stahl & Gamper 2025",
        verified=PACKAGE,
        has_fast=True,
    ),
    alone(
        ("dnsmos_ovrl", "dnsmos_sig", "dnsmos_bak"),
        "from_package:dnsmos",
        "speechmos",
        "Reddy et al. 2022 (P.835)",
        verified=CHALLENGE,
    ),
    alone(
        ("dnsmos_p808",),
        "from_package:dnsmos_p808",
        "speechmos",
        "Reddy et al. 2021 (P.808)",
        verified=CHALLENGE,
    ),
    alone(("plcmos",), "from_package:plcmos", "speechmos", "Diener et al. 2023, v2", verified=PACKAGE),
    compared(("pesq",), "intrusive:pesq", "pesq", "ITU-T P.862.2; P.862.1 at 8 kHz", "8, 16 kHz", CHALLENGE),
    compared(
        ("pesqc2",),
        "intrusive:pesqc2",
        "pesqc2",
        "ITU-T P.862 Cor. 2 (2018)",
        "8, 16 kHz",
        PACKAGE,
        install=PESQC2,
    ),
    compared(("stoi",), "intrusive:stoi", "pystoi", "Taal et al. 2011", "10 kHz", PACKAGE),
    compared(("estoi",), "intrusive:estoi", "pystoi", "Jensen & Taal 2016", "10 kHz", CHALLENGE),
    compared(
        ("sdr",), "intrusive:sdr", "fast-bss-eval", "Vincent et al. 2006, 512 taps", "own", CHALLENGE, CLAMPED
    ),
    compared(
        ("si_sdr",), "intrusive:si_sdr", "sqa-data", "Le Roux et al. 2019", "own", "fast-bss-eval", CLAMPED
    ),
    compared(("lsd",), "intrusive:lsd", "sqa-data", "URGENT 2024 (natural log)", "own", CHALLENGE),
    compared(
        ("mcd",), "intrusive:mcd", "pysptk", "URGENT 2024, ESPnet (dB)", "own of 7", CHALLENGE, install=MCD
    ),
    alone(
        ("scoreq",),
        "from_hub:scoreq",
        "scoreq",
        "Ragano et al. 2024",
        verified=STAND_IN,
        install="pip install scoreq",
    ),
    alone(
        ("utmos",),
        "from_hub:utmos",
        "torch",
        "Saeki et al. 2022",
        verified=STAND_IN,
        install="pip install torch torchaudio",
    ),
    Adapter(
        ("nisqa_mos",),
        "from_hub:nisqa",
        "torchmetrics",
        "Mittag et al. 2021, v2",
        verified=STAND_IN,
        install=NISQA,
    ),
    Adapter(
        SIGMOS,
        "from_hub:sigmos",
        "onnxruntime",
        "Ristea et al. 2025 (P.804)",
        verified=STAND_IN,
        install="pip install onnxruntime librosa",
    ),
    compared(
        ("spksim",),
        "from_hub:spksim",
        "espnet",
        "RawNet3 cosine, URGENT 2024",
        "16 kHz",
        STAND_IN,
        install="pip install espnet",
    ),
    compared(
        ("lps",),
        "from_hub:lps",
        "transformers",
        "Pirklbauer et al. 2023",
        "16 kHz",
        STAND_IN,
        install=TRANSFORMERS,
    ),
    compared(
        ("sbert",),
        "from_hub:sbert",
        "transformers",
        "Saeki et al. 2024",
        "16 kHz",
        STAND_IN,
        install=TRANSFORMERS,
    ),
)

# label -> its adapter
LABELS: dict[str, Adapter] = {label: adapter for adapter in ADAPTERS for label in adapter.labels}


def adapter_of(label: str) -> Adapter:
    """The adapter that makes a label; `DataError` with the list for a name unknown here."""
    if label not in LABELS:
        raise DataError(f"unknown metric {label!r}; known: {', '.join(LABELS)}")
    return LABELS[label]
