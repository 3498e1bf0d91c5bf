"""What the model server adds to the network's own time, beside other servers: ``make bench-serve``.

The parts that need torch run as programs of the job environment; the peers' packages come from
``.venv-bench``. Nothing here is part of the product.
"""
