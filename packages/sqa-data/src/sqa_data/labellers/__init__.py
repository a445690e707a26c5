"""The quality metrics that can label a corpus: one adapter a metric, on the library that people trust for it.

An adapter is a function `load(device, fast) -> score` in a module of this package; `score(clip)` takes `Signals` and
returns `{label: value}`, and raises `ClipError` for a clip that has no value. Nothing heavy is imported before `load`
is called. Adding a metric is one such function, one line in `ADAPTERS` and one in `sqa_data.labels.RANGES`. Every
value equals what the library itself gives for the same file (the tests compare).
"""

import importlib.metadata
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqa_data.errors import DataError
from sqa_data.labellers.signals import ClipError, Signals

__all__ = ["ADAPTERS", "LABELS", "Adapter", "ClipError", "Signals", "adapter_of"]

Score = Callable[[Signals], Mapping[str, float]]


@dataclass(frozen=True)
class Adapter:
    """One library's metrics: what they label, where the code is, what must be installed."""

    labels: tuple[str, ...]
    load: str  # "module:function" of this package, imported on use
    distribution: str  # whose version is part of a value's identity
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


# its metadata asks for numpy < 2 without need; built against the numpy that is here, it works
PESQC2 = "pip install cython setuptools && pip install --no-cache-dir --no-deps --no-build-isolation pesqc2"
TRANSFORMERS = "pip install transformers torch"
SIGMOS = tuple(f"sigmos_{name}" for name in ("ovrl", "col", "disc", "loud", "noise", "reverb", "sig"))

ADAPTERS = (
    Adapter(("distill_mos",), "from_package:distill_mos", "distillmos", has_fast=True),
    Adapter(("dnsmos_ovrl", "dnsmos_sig", "dnsmos_bak"), "from_package:dnsmos", "speechmos"),
    Adapter(("dnsmos_p808",), "from_package:dnsmos_p808", "speechmos"),
    Adapter(("plcmos",), "from_package:plcmos", "speechmos"),
    Adapter(("pesq",), "intrusive:pesq", "pesq", needs_reference=True),
    Adapter(("pesqc2",), "intrusive:pesqc2", "pesqc2", needs_reference=True, install=PESQC2),
    Adapter(("stoi",), "intrusive:stoi", "pystoi", needs_reference=True),
    Adapter(("estoi",), "intrusive:estoi", "pystoi", needs_reference=True),
    Adapter(("sdr",), "intrusive:sdr", "fast-bss-eval", needs_reference=True),
    Adapter(("si_sdr",), "intrusive:si_sdr", "sqa-data", needs_reference=True),
    Adapter(("lsd",), "intrusive:lsd", "sqa-data", needs_reference=True),
    Adapter(("mcd",), "intrusive:mcd", "pysptk", needs_reference=True, install="pip install 'sqa-data[mcd]'"),
    Adapter(("scoreq",), "from_hub:scoreq", "scoreq", install="pip install scoreq"),
    Adapter(("utmos",), "from_hub:utmos", "torch", install="pip install torch torchaudio"),
    Adapter(
        ("nisqa_mos",), "from_hub:nisqa", "torchmetrics", install="pip install torchmetrics librosa requests"
    ),
    Adapter(SIGMOS, "from_hub:sigmos", "onnxruntime", install="pip install onnxruntime librosa"),
    Adapter(("spksim",), "from_hub:spksim", "espnet", needs_reference=True, install="pip install espnet"),
    Adapter(("lps",), "from_hub:lps", "transformers", needs_reference=True, install=TRANSFORMERS),
    Adapter(("sbert",), "from_hub:sbert", "transformers", needs_reference=True, install=TRANSFORMERS),
)

# label -> its adapter
LABELS: dict[str, Adapter] = {label: adapter for adapter in ADAPTERS for label in adapter.labels}


def adapter_of(label: str) -> Adapter:
    """The adapter that makes a label; `DataError` with the list for a name unknown here."""
    if label not in LABELS:
        raise DataError(f"unknown metric {label!r}; known: {', '.join(LABELS)}")
    return LABELS[label]
