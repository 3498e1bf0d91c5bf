"""What the model server does like SageMaker's inference toolkit: contexts, Accept, defaults."""
