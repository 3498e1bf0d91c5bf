"""A boundary around the processes of local jobs and model servers, without Docker.

What a process sees is a list of :mod:`steps <platforms.local.boundary.steps>`, made by
:mod:`view <platforms.local.boundary.view>`; ``enter.py`` (namespaces) or bubblewrap carries them
out. Where the machine has neither, the same contract is approached by private copies.
"""
