"""Charts and tables of Prefect artifacts: Markdown and SVG, for a page without scripts.

The interactive figures of the report are in :mod:`dashboards.figures`.
"""
