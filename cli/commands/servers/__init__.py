"""Commands that start servers on this machine, and the one that stops them.

Not for what answers about a server or an endpoint that is there: ``whippet endpoints``.
"""
