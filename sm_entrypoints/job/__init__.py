"""What every program of a job needs around its work: environment, errors, processes, clock.

Nothing here knows about pictures or networks.
"""
