"""The choice of a network by a few heads on its features, spending on one while it can still win.

Successive halving on pictures: all networks see a small part of them, the better half more, the
last two all, as far as the budget allows. Not for the search that the winner then gets:
:mod:`sm_entrypoints.searching`.
"""
