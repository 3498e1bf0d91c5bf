"""The caller's identity and its role's rights, which the SDKs ask STS and IAM for before training.

Nothing here checks permissions: there is one caller, every role exists, and everything is allowed.
"""
