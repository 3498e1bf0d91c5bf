"""smdebug's hook in scripts that do not ask for it, as SageMaker's own PyTorch images had it.

These files are copied beside a job and put at the end of its ``PYTHONPATH``; they import each other
by their bare names there, and nothing of Whippet. Python runs ``sitecustomize`` before the script.
"""
