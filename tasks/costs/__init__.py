"""Money: prices, the worst case of a request, the cap, the ledger, and what is still billing.

Nothing here starts anything; :mod:`tasks.costs.stop_billing` ends what bills.
"""
