"""What runs in the job's Python for warm starts: ``sitecustomize.py`` first, found by PYTHONPATH.

Standard library only. The modules import each other by bare names and leave ``sys.modules`` before
a script runs.
"""
