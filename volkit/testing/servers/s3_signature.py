"""Signatures of S3: whether a request was signed with a key, by AWS Signature Version 4.

References
----------
"Authenticating Requests: Using the Authorization Header", API reference of Amazon S3,
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-auth-using-authorization-header.html
"""

import hmac
import re
from hashlib import sha256
from urllib.parse import parse_qsl, quote, unquote

from volkit.testing.servers.loopback import Call

_ALGORITHM = "AWS4-HMAC-SHA256"
_PART = re.compile(r"(Credential|SignedHeaders|Signature)=([^,\s]+)")
_UNRESERVED = "-_.~"


def is_anonymous(call: Call) -> bool:
    """Tell whether a request carries no signature, neither in a header nor in its query."""
    return "authorization" not in call.headers and "X-Amz-Signature" not in call.query


def wrong_signature(call: Call, key: str, secret: str) -> str | None:
    """Say what is wrong with the signature of a request, in the words of S3; None if nothing is.

    Parameters
    ----------
    call : Call
        As it came.  Those that carry no header, anonymous or presigned, pass.
    key, secret : str
        What signs.

    Returns
    -------
    str or None
        ``InvalidAccessKeyId`` or ``SignatureDoesNotMatch``.
    """
    given = call.headers.get("authorization")
    if given is None:
        return None
    parts = dict(_PART.findall(given))
    if not given.startswith(_ALGORITHM) or len(parts) < 3:
        return "SignatureDoesNotMatch"
    named, _, scope = parts["Credential"].partition("/")
    if named != key:
        return "InvalidAccessKeyId"
    canonical = _canonical(call, parts["SignedHeaders"]).encode()
    moment = call.headers.get("x-amz-date", "")
    signed = "\n".join((_ALGORITHM, moment, scope, sha256(canonical).hexdigest()))
    derived = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        derived = _mac(derived, part)
    right = hmac.compare_digest(_mac(derived, signed).hex(), parts["Signature"])
    return None if right else "SignatureDoesNotMatch"


def _canonical(call: Call, names: str) -> str:
    pairs = [(_quoted(k), _quoted(v)) for k, v in parse_qsl(call.query, keep_blank_values=True)]
    headers = [
        f"{name}:{' '.join(call.headers.get(name, '').split())}" for name in names.split(";")
    ]
    return "\n".join(
        (
            call.method,
            quote(unquote(call.path), safe="/" + _UNRESERVED),
            "&".join(f"{k}={v}" for k, v in sorted(pairs)),
            *headers,
            "",
            names,
            call.headers.get("x-amz-content-sha256", ""),
        )
    )


def _quoted(text: str) -> str:
    return quote(text, safe=_UNRESERVED)


def _mac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), sha256).digest()
