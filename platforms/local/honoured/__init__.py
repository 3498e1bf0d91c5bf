"""Which members of a request change something on this platform; all others are named."""
