"""Rows of score files: read, joined, and grouped by system."""
