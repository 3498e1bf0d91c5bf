"""What goes into the report of a run: its contents, its commands, the PDF.

The page itself is made in :mod:`dashboards`.
"""
