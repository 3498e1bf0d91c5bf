"""What Describe answers beside the request's own members: what the service fills in and counts."""
