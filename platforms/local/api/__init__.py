"""The local SageMaker over HTTP: the server, who may ask it, and how answers are shaped.

The protocols of AWS's clients are in :mod:`platforms.local.wire`.
"""
