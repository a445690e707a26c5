"""Corpora whose files no program may fetch: what the user does, and where the public label files of others lie."""

SHEET = "https://raw.githubusercontent.com/unilight/sheet/7ea80cc24cf696047bb2c66b3535fd97f25bc6c8/egs/"


def steps(url: str, *files: str) -> str:
    """The text for `Corpus.manual` of files that are given out on a page."""
    return f"""\
{" and ".join(files)}: given out on a page that no program may read.
  1. open {url} and save the file
  2. put it into {{home}}/
  3. sqa-cli data download {{name}}   brings what else there is, and records the hash of your file"""
