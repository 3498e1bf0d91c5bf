"""The data set: how a folder of pictures is read, named and kept apart from others."""
