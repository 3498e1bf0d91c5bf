"""The job environment as the orchestrator uses it: its programs, weights and source archive.

The orchestrator itself never imports torch.
"""
