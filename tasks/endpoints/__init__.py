"""Endpoints as they are, whoever made them."""
