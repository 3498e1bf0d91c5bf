"""The steps of the flows: this folder holds the Prefect tasks, its packages the library below.

The packages know nothing of Prefect, apart from the few that ``tests/test_architecture.py`` names.
"""
