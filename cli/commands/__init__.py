"""The commands of ``whippet``, a module each: what its help says, its options, and what it does.

A module has ``HELP``, ``command`` and, where there are options, ``add_options``; its name is the
command's. ``whippet --help`` imports all of them and must be instant: a module imports at its top
only what takes no time, and in its functions what does the work. That work has no place here: it
is in ``tasks``, ``flows`` and the packages beside this one.
"""
