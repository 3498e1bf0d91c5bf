"""What the model server does like SageMaker's inference toolkit: contexts, Accept, defaults.

The server itself is ``sm_entrypoints/serve.py``; endpoints are not known here.
"""
