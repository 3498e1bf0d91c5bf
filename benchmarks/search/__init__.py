"""What a packed search costs, beside what people do instead: ``python -m benchmarks.search``.

The programs named ``peer_…`` and ``job_…`` run in the job environment. Not for the product: nothing
imports this package.
"""
