"""Pictures: which files are pictures, and how they are decoded and prepared."""
