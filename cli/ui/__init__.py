"""The server of ``whippet ui``: pages over the runs of this home, on 127.0.0.1.

It reads, and asks an endpoint about a picture when a visitor drops one; it changes nothing. What
the pages show is in :mod:`tasks.browse`, how they look in :mod:`dashboards.browse`.
"""
