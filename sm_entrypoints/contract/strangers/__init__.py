"""What comes from strangers and goes to them: archives, and cells of tables.

Both sides guard the same borders here. Not for what a user's own data look like, and standard library
only.
"""
