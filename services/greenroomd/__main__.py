"""`python -m greenroomd`."""

from greenroomd.cli import main

main()
