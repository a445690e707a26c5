"""Errors meant for people: each message says where, what was found, what was expected, what to do."""

from sqa_data.errors import AudioError as UnusableAudio


class ModelError(Exception):
    """Base of every error that sqa-model raises about its input."""


class AudioError(ModelError, UnusableAudio):
    """One clip cannot be scored; others can."""


class CheckpointError(ModelError):
    """A model cannot be loaded."""
