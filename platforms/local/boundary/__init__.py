"""A boundary around the processes of local jobs and model servers, without Docker.

What a process sees is a list of :mod:`steps <platforms.local.boundary.steps>`, made by :mod:`view
<platforms.local.boundary.view>`; ``enter.py`` (namespaces) or bubblewrap carries them out. On
machines that have neither, private copies come as close to the same contract as they can.

It does not start the processes: that is in :mod:`platforms.processes`.
"""
