"""Rules about tensors and losses: what goes wrong in learning itself."""
