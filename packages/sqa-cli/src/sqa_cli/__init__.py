"""Command line of the speech quality assessment toolkit; see `sqa_cli.main`."""
