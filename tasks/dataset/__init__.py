"""The data set: how a folder of pictures is read, named and distinguished from others.

Decoding a picture is in :mod:`sm_entrypoints.images`, moving objects in :mod:`tasks.storage`.
"""
