"""SageMaker's ``Search`` over the records of this machine: jobs, models and endpoints."""
