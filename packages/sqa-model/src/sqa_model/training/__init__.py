"""Train a MOS model."""
