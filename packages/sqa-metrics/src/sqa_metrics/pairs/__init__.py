"""Judging by pairs of clips: rows (`rows`), joined (`join`), figures (`report`), strengths of systems (`strengths`)."""
