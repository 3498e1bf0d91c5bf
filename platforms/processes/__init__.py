"""Detached processes that outlive their starter: launch, recognise and end them.

This package does not know what a process is for.
"""
