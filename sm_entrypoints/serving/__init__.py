"""What the model server does as SageMaker's inference toolkit does: contexts, Accept, defaults."""
