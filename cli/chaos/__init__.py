"""``whippet chaos``: a real run whose processes are killed at random, and which ends right.

What a process may be killed at is named in :mod:`sm_entrypoints.contract.kill_points`.
"""
