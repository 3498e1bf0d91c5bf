"""Endpoints: their kinds, requests and inventory; scaling, asking and removing them.

Whoever made them, as far as that can be. Not for: when a run deploys (:mod:`tasks.deployment`), and
what an endpoint costs (:mod:`tasks.costs`), which reads from here what bills.
"""
