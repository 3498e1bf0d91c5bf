"""Training jobs with a command of their own (``ContainerEntrypoint``) instead of the toolkit.

``ModelTrainer`` of SDK v2 and v3 makes such jobs: they start a shell script from an uploaded
channel, ``sm_drivers``, which sets up the environment and runs the user's code.

Jobs whose script the toolkit starts are in :mod:`platforms.local.toolkit`.
"""
