"""Requests to SageMaker: their bodies, creating or adopting by name, waiting, listing.

They work alike on every platform.
"""
