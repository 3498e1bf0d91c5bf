"""Pictures: which files are pictures, and how they are decoded and prepared.

Whether a data set can be trained on is not decided here but in :mod:`tasks.dataset.checking`.
"""
