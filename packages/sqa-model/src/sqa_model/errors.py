"""Errors meant for people: each message says where, what was found, what was expected, what to do."""


class ModelError(Exception):
    """Base of every error that sqa-model raises about its input."""
