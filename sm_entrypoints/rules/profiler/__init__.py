"""Rules about time: where the steps of a job spend it, and on which device."""
