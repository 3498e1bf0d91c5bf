"""Requests to SageMaker: their bodies, creating or adopting by name, waiting, listing.

Works alike on every platform.
"""
