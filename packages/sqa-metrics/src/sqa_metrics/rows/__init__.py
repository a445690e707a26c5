"""Rows of score files: read (`read`, `formats`), joined (`join`, `columns`), in systems (`systems`)."""
