"""What a run would create, in what order, and what it would cost. Creates nothing.

The requests are made in :mod:`tasks.requests`, prices and the cap are in :mod:`tasks.costs`.
"""
