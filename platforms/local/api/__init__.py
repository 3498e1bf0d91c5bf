"""The local SageMaker over HTTP: the server, access control, and the format of answers.

The protocols of AWS's clients are in :mod:`platforms.local.api.wire`.
"""
