"""What people fill in: the forms of the flows, checked before any work or cost."""
