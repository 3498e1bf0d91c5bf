"""Objects in buckets: list, download, receive, always verified and resumable."""
