"""What the folders of a data folder mean: classes, splits, wrappers, or a question to ask.

The pictures themselves are examined in :mod:`tasks.dataset.checking`.
"""
