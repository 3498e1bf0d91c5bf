"""Whether a trained model goes into service: its comparison with the one there, and the question.

Not the waiting for the answer: that is Prefect's, in :mod:`tasks.approving`, or the terminal's.
"""
