"""Check every picture before it costs anything: damaged, odd, duplicate, in which split."""
