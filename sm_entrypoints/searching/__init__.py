"""A packed search: the heads of many trials, trained together on features computed once.

The program that runs it is ``sm_entrypoints/search.py``. A trial's every epoch is that of
``train.py`` with the same hyperparameters, which is in :mod:`sm_entrypoints.training`; the features
are not computed here.
"""
