"""Plotly figures of the report: what each one shows, and the figure itself.

Nothing here reads files (:mod:`dashboards.files`) or writes a page (:mod:`dashboards.page.page`).
"""
