"""`python -m softswitch`: the command line."""

from softswitch.cli import main

main()
