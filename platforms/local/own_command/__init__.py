"""Training jobs that bring their own command (``ContainerEntrypoint``) in place of the toolkit's.

SDK v2's and v3's ``ModelTrainer`` are such: their jobs start a shell script of a channel that they
uploaded, ``sm_drivers``, which sets up the environment and runs the user's code.
"""
