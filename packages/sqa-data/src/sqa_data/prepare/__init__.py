"""From unpacked archives to manifests."""

from sqa_data.prepare.run import Prepared, prepare

__all__ = ["Prepared", "prepare"]
