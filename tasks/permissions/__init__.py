"""Which AWS actions each step needs, and the policies that allow nothing else.

Whether the account has them is not asked here but in :mod:`platforms.aws.readiness`.
"""
