"""The Prefect server of this project: behind a password, for this user and this machine alone.

Whoever may talk to a Prefect server may run commands as the user of its workers. So the server that
Whippet starts listens on 127.0.0.1, takes requests of its own pages and of programs only, and asks
for a password that its owner alone can read.
"""
