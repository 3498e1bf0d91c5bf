"""The rules that judge a training from its files, and the verdict over all that they find.

What is judged is recorded in :mod:`sm_entrypoints.instrumentation`; no rule changes a training.
"""
