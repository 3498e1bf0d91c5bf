"""How AWS's clients and the local API encode requests and answers, one module per protocol.

SageMaker and CloudWatch Logs speak JSON. CloudWatch also speaks Smithy's RPC v2 in CBOR (newest
SDKs) and the query protocol in XML (older ones); STS and IAM speak the query protocol too.

The operations themselves are in :mod:`platforms.local.client` and its siblings.
"""
