"""One self-contained HTML page: its frame, and the only functions that write markup.

What stands on the page is in :mod:`dashboards.sections.run`.
"""
