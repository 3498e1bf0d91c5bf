"""State dictionaries from users: unwrapped, under torchvision's names, and identified.

Loading them into a network is in :mod:`sm_entrypoints.models`.
"""
