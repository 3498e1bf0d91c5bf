"""Check every picture before it costs anything: damaged, odd, duplicate, in which split.

What folders mean is decided in :mod:`tasks.dataset.folders`; nothing is changed or moved.
"""
