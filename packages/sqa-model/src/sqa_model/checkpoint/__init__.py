"""Read and write models without executing anything that a file holds."""

from sqa_model.checkpoint.ours import load, save

__all__ = ["load", "save"]
