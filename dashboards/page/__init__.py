"""One self-contained HTML page: its frame, and the only functions that write markup.

The page's content is in :mod:`dashboards.sections.run`.
"""
