"""A run: its names, its record, its stages. Prefect's context is read here, and nowhere below.

What a run creates is in :mod:`tasks.requests`; nothing here asks a platform.
"""
