"""What tests of several packages share: platforms without an account, homes, data, waiting.

A world is made here once; a test module holds tests and what they alone need, and no test module
imports another one (`tests/test_architecture.py`). Not for assertions, and not for the product:
nothing outside `tests/` may import it.
"""
