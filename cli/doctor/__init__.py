"""``whippet doctor``: report what is wrong with the machine, the account or a user's handlers.

The checks only read. What a run itself refuses before it starts is in :mod:`cli.preflight`.
"""
