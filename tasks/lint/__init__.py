"""Find what would ruin a search before it is paid for: metrics, ranges, inputs, logs."""
