"""The Prefect flows: which tasks run in what order, and the hooks when a flow ends.

A flow only arranges. Each step is a task of :mod:`tasks`.
"""
