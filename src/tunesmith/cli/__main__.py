"""`python -m tunesmith.cli`: the command line where the script is not on the path."""

from tunesmith.cli import main

main()
