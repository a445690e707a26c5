"""Errors meant for people: each message says where, what was found, what was expected, what to do."""


class ModelError(Exception):
    """Base of every error that sqa-model raises about its input."""


class AudioError(ModelError):
    """One clip cannot be scored; others can."""


class CheckpointError(ModelError):
    """A model cannot be loaded."""
