"""Find what would ruin a search before it costs anything: metrics, ranges, inputs, logs."""
