"""Rows of score files: read (`read`, `formats`, `ratings`), joined (`join`, `columns`), in systems (`systems`)."""
