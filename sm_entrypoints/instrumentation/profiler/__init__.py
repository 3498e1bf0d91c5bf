"""The machine under a training: system metrics, operators, workers, GPUs."""
