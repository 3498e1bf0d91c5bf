"""What a run would create, in what order, and what it would cost. Creates nothing."""
