"""An A/B comparison of two configurations within one job: speed, quality, and what to decide.

The program that runs it is ``sm_entrypoints/compare.py``.
"""
