"""Pictures: which files are some."""
