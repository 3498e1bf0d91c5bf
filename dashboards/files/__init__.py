"""Read the files that jobs leave behind, strictly, into tables and frozen dataclasses.

Malformed content is an error that names the file and the line. Nothing is drawn here.
"""
