"""The project's Prefect server: behind a password, only for this user and this machine.

Anyone who can talk to a Prefect server can run commands as the user of its workers. The server that
Whippet starts therefore listens on 127.0.0.1, accepts requests only from its own pages and from
programs, and asks for a password that only its owner can read.
"""
