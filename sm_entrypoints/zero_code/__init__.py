"""smdebug's hook in scripts that do not ask for it, as in SageMaker's older PyTorch images.

These files are copied beside a job and added to the end of its ``PYTHONPATH``. There they import
each other by bare names, and nothing of Whippet. Python runs ``sitecustomize`` before the script.
"""
