"""Warm starts: equal to cold ones, and safe."""
