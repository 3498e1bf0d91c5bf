"""What comes from strangers and goes to them: archives, and cells of tables.

Both sides guard the same borders here. Not for a user's own pictures. Standard library only.
"""
