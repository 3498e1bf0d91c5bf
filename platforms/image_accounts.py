"""Who holds AWS's deep learning images in a region: for their URIs, and for whom to let pull them.

Dated as ``platforms.aws.image_table``: of the SDK 3.27 (``image_uri_config``, 2026-10-21).
"""

from __future__ import annotations

_SHARED_ACCOUNT = "763104351884"
_SHARED_REGIONS = (
    "ap-northeast-1 ap-northeast-2 ap-south-1 ap-southeast-1 ap-southeast-2 ca-central-1 "
    "eu-central-1 eu-north-1 eu-west-1 eu-west-2 eu-west-3 sa-east-1 us-east-1 us-east-2 "
    "us-west-1 us-west-2"
)
# The account that holds the images of a region. China, GovCloud and the isolated regions have
# domains of their own: there WHIPPET_TRAINING_IMAGE and WHIPPET_INFERENCE_IMAGE are needed.
ACCOUNTS = {
    **dict.fromkeys(_SHARED_REGIONS.split(), _SHARED_ACCOUNT),
    "af-south-1": "626614931356",
    "ap-east-1": "871362719292",
    "ap-east-2": "975050140332",
    "ap-northeast-3": "364406365360",
    "ap-south-2": "772153158452",
    "ap-southeast-3": "907027046896",
    "ap-southeast-4": "457447274322",
    "ap-southeast-5": "550225433462",
    "ap-southeast-6": "633930458069",
    "ap-southeast-7": "590183813437",
    "ca-west-1": "204538143572",
    "eu-central-2": "380420809688",
    "eu-south-1": "692866216735",
    "eu-south-2": "503227376785",
    "il-central-1": "780543022126",
    "me-central-1": "914824155844",
    "me-south-1": "217643126080",
    "me-west-1": "124382933778",
    "mx-central-1": "637423239942",
}
