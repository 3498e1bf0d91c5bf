"""Which members of a request have an effect on this platform; all others are named in a warning.

Whether a request is valid is decided in :mod:`platforms.validation`, not here.
"""
