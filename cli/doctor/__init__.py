"""``whippet doctor``: say what is wrong with the machine, the account or a user's handlers.

Each check reads only. What a run itself refuses before it starts is in :mod:`cli.preflight`.
"""
