"""The soak: every command of `rmsprop`, disturbed and fed with damaged files at random, and what it did.

commands.py lists the commands and what each may write, damage.py damages files, disturb.py runs a command and
disturbs it, places.py makes the folder in which that happens, faults.py says what went wrong, and
scenario.py puts one of each together. `python -m studies.soak` counts.
"""
