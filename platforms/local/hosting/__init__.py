"""Models, endpoint configurations and endpoints: real-time, serverless and asynchronous.

The program that answers requests is ``sm_entrypoints/serve.py``; batch transform is in
:mod:`platforms.local.transform`.
"""
