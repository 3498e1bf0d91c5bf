"""What a Describe answer adds to the request's own members: fields that the service fills in."""
