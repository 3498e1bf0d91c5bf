"""What runs need around the server: a work pool, a worker, the deployments and the automations.

Each is put in place once, however often ``whippet up`` is called. Not the server: ``cli.server``.
"""
