"""The data set: how a folder of pictures is read, named and distinguished from others."""
