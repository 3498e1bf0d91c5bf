"""The sections of the report: which tables and figures stand under which heading.

A section arranges; the figures themselves are in :mod:`dashboards.figures`.
"""
