"""One file a corpus: constants and `parse()`. See `sqa_data.corpus` for the records."""
