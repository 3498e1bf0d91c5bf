"""Money: prices, the worst case of a request, the cap, the ledger, and what is still billing.

Nothing here starts or stops a job.
"""
