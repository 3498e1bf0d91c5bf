"""What people look at: the report of a run, its figures, and the charts of artifacts.

It reads files and returns pages or SVG. It does not know Prefect, AWS, or how a job is started.
"""
