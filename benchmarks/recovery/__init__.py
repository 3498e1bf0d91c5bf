"""How long a run of a deployment stands still when its process and its worker are killed."""
