"""SageMaker on AWS: boto3's clients, the account, readiness checks, and image URIs.

Only :func:`platforms.connect` selects it. Nothing outside ``platforms`` imports from here.
"""
