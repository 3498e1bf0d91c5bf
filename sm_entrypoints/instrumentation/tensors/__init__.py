"""The tensors of a training: statistics, histograms, and where a number stopped being finite."""
