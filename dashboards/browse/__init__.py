"""The pages of ``whippet ui``: the list of runs, one run, two side by side, an endpoint to try.

What they show is handed to them; who serves them is :mod:`cli.ui`. A run's report is a file of its
own and no page of this package (:mod:`dashboards.report`).
"""
