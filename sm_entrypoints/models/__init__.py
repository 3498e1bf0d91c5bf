"""Networks of torchvision with a new head, their weights, and the file ``model.json``.

How they learn is in :mod:`sm_entrypoints.training.state`.
"""
