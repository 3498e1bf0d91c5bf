"""What no live run owns: found by tag, with its age and cost, and removed.

Files on this machine are no concern of this package, and neither is what a run stops by itself.
"""
