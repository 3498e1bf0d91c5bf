"""Warm starts: a job begins in a fork of a process that has imported torch already.

The first job of its kind imports, and leaves a copy of itself behind, which waits (``inner/``).
Later supervisors start from that copy: it forks, the fork forks a child, and becomes the
supervisor. The child is therefore the supervisor's own, in its session, and becomes the job when
the supervisor says how. If anything would differ from a cold start, the job starts cold.

Nothing here is needed for a job to run, and no job ends when the copy is killed.
"""
