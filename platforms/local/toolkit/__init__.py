"""What SageMaker's training toolkit derives for a job: its variables, arguments and command.

Follows sagemaker-training 5.1.4, which every framework image runs; a test compares the two on one
tree, variable by variable.

Jobs with a command of their own are in :mod:`platforms.local.own_command`.
"""
