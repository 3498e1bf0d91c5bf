"""Which AWS actions each step needs, and the policies that allow nothing else."""
