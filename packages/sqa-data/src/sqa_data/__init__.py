"""The public MOS corpora as verified downloads and clean manifests."""

from .corpus import Corpus, get_corpus, list_corpora
from .download import Downloaded, download
from .errors import DataError
from .manifest import Utterance, iter_manifest, read_manifest, write_manifest
from .prepare import Prepared, prepare
from .verify import Verification, validate

__all__ = [
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
    "prepare",
    "read_manifest",
    "validate",
    "write_manifest",
]
