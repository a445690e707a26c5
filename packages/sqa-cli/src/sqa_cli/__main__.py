"""`python -m sqa_cli`, the form that torchrun needs."""

from sqa_cli.main import main

main(prog_name="sqa-cli")
