"""The public MOS corpora as verified downloads and clean manifests; audio files, lists of clips and results.

The names below are imported on first use, so that `import sqa_data` costs a millisecond and no library.
"""

import importlib
from typing import TYPE_CHECKING

from sqa_data.errors import AudioError, DataError

if TYPE_CHECKING:
    from sqa_data.corpus import Corpus, get_corpus, list_corpora
    from sqa_data.manifest import Utterance, iter_manifest, read_manifest, write_manifest
    from sqa_data.prepare.run import Prepared
    from sqa_data.sources.download import Downloaded, download
    from sqa_data.verify import Verification, validate

_HOMES = {  # public name -> module that defines it
    "Corpus": "corpus",
    "Downloaded": "sources.download",
    "Prepared": "prepare.run",
    "Utterance": "manifest",
    "Verification": "verify",
    "download": "sources.download",
    "get_corpus": "corpus",
    "iter_manifest": "manifest",
    "list_corpora": "corpus",
    "read_manifest": "manifest",
    "validate": "verify",
    "write_manifest": "manifest",
}

__all__ = [
    "AudioError",
    "Corpus",
    "DataError",
    "Downloaded",
    "Prepared",
    "Utterance",
    "Verification",
    "download",
    "get_corpus",
    "iter_manifest",
    "list_corpora",
    "read_manifest",
    "validate",
    "write_manifest",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'sqa_data' has no attribute {name!r}")
    return getattr(importlib.import_module(f"sqa_data.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
