"""An A/B comparison of two configurations within one job: speed, quality and decision.

The program that runs it is ``sm_entrypoints/compare.py``.
What to compare is not decided here but in :mod:`tasks.improve`, before there is a job.
"""
