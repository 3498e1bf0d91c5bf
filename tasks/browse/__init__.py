"""What the pages of ``whippet ui`` show, read from the folders of runs. It only reads.

How it is shown is in :mod:`dashboards.browse`; a run's report is made in :mod:`tasks.report`.
"""
