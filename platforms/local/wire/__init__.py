"""How AWS's clients and the local API write requests and answers, one module a protocol.

SageMaker and CloudWatch Logs speak JSON; CloudWatch also Smithy's RPC v2 in CBOR (newest SDKs) and
the query protocol in XML (older ones), which STS and IAM speak, too.
"""
