"""Tuning jobs: what to try next, the trials as training jobs, and when to stop.

A trial itself is a job of :mod:`platforms.local.training.jobs`.
"""
