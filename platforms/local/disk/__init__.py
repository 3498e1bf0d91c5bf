"""What old jobs and killed processes leave on this machine's disk, and removing it.

What the records of runs still need is not for this package to guess: it is told.
"""
