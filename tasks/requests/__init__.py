"""Requests to SageMaker: their bodies, creating or adopting by name, waiting, listing.

They work alike on every platform.

What a run creates, and in what order, is in :mod:`tasks.plan`.
"""
