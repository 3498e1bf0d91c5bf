"""Which members of a request have an effect on this platform; all others are named in a warning."""
