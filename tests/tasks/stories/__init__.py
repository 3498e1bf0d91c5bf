"""Tests of what runs are called, and what their last state says."""
