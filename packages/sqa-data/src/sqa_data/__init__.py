"""The public MOS corpora as verified downloads and clean manifests."""

from sqa_data.corpus import Corpus, get_corpus, list_corpora
from sqa_data.errors import DataError
from sqa_data.manifest import Utterance, iter_manifest, read_manifest, write_manifest
from sqa_data.prepare.run import Prepared, prepare
from sqa_data.sources.download import Downloaded, download
from sqa_data.verify import Verification, validate

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
