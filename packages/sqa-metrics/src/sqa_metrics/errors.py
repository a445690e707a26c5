"""Errors meant for people: each message says where, what was found, what was expected, what to do."""


class MetricsError(Exception):
    """Base of every error that sqa-metrics raises about its input."""
