"""The public MOS corpora as verified downloads and clean manifests."""

from .errors import DataError
from .manifest import Utterance, iter_manifest, read_manifest, write_manifest

__all__ = ["DataError", "Utterance", "iter_manifest", "read_manifest", "write_manifest"]
