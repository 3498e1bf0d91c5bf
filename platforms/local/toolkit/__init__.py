"""What SageMaker's training toolkit makes of a job: its variables, its arguments, its command.

After sagemaker-training 5.1.4, which every framework image runs; a test compares the two on one
tree, variable by variable.
"""
