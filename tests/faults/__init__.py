"""What survives `kill -9`, lost answers and two runners at once: `python -m tests.faults`.

``scenarios`` are small pieces of what a run does, on a real local platform with jobs that take
milliseconds; ``kills`` kills one of their processes at every point that the product names
(:mod:`sm_entrypoints.contract.kill_points`), goes on, and checks what must hold; ``machine`` plays
schedules of faults against the very functions that the tasks call; ``guards`` takes one safeguard
away at a time and looks whether a test notices. ``job_kills`` does the first for trainings and
searches themselves, in the environment of jobs. Tests here run a small part of each.
"""
