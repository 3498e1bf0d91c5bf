"""SageMaker on AWS: boto3's clients, the account, readiness, and the URIs of images.

Only :func:`platforms.connect` chooses it. Nothing outside ``platforms`` imports from here.
"""
