"""`python -m rmsprop`: the command line."""

from rmsprop.suite.cli.main import main

main()
