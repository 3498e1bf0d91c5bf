"""Commands about pictures as they lie in a folder, before anything learns from them.

Not for what answers about pictures once a model is there: that is ``whippet predict``.
"""
