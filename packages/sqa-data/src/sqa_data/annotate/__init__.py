"""Metric labels for the clips of a manifest, in a log that any stop leaves whole."""
