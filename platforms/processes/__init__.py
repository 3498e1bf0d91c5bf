"""Detached processes that outlive their starter: how they are launched, told apart and ended.

What a process is for is not known here.
"""
