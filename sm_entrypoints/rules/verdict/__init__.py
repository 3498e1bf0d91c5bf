"""The verdict of a job: all findings weighed, one change to make, and only true claims.

It looks at what the rules found, not at tensors. Measuring the change is in
:mod:`sm_entrypoints.comparison`.
"""
