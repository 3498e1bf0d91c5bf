"""The tensors of a training: statistics, histograms, and where a number stopped being finite.

What they mean for the training is in :mod:`sm_entrypoints.rules.tensor`.
"""
