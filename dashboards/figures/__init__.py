"""Plotly figures of the report: what each one shows, and the figure made of it.

Nothing here reads files (:mod:`dashboards.files`) or writes a page (:mod:`dashboards.page.page`).
"""
