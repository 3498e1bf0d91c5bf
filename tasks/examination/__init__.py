"""Ask a network about the pictures of a data set, without training one: ``whippet data``.

Not for the check of the files themselves: that is :mod:`tasks.dataset`.
"""
