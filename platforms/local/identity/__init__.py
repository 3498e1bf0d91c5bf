"""Who calls, and what their role may do, as the SDKs ask STS and IAM before they train.

Nothing here checks permissions: there is one caller, every role exists, and everything is allowed.
"""
