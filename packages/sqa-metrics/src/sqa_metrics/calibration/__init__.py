"""Scores of a model as the MOS of one's own listeners: fitted (`fit`), kept in a file and applied (`record`)."""
