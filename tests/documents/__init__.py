"""Tests of README, CONTRIBUTING, docs/ and the changelog: what they promise is so.

Not for the style of the tree (`tests/test_architecture.py`), nor for texts that the product
prints. `reading` is the one parser of commands in documents.
"""
