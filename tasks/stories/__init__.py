"""What runs are called, and what their last state says: the story in one line.

Not for reports, and not for what jobs are called: :mod:`tasks.runs.names`.
"""
