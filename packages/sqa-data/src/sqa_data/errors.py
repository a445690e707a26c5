"""Errors meant for people: each message says where, what was found, what was expected, what to do."""


class DataError(Exception):
    """Base of every error that sqa-data raises about its input."""


class AudioError(DataError):
    """One audio source cannot be used; others can."""


class FullDiskError(DataError):
    """No room to write, from whatever source it comes."""
