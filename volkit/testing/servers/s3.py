"""S3 on loopback: moto's application behind a server of this process, its buckets in memory."""

import json
import sys
from collections.abc import Callable, Iterable
from io import BytesIO
from threading import Lock
from typing import Any, ClassVar, Self
from urllib.parse import unquote, unquote_to_bytes

from volkit.errors import missing_extra
from volkit.testing.servers.loopback import Answer, Call, Loopback
from volkit.testing.servers.s3_signature import is_anonymous, wrong_signature

try:
    import boto3
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
except ImportError as error:
    raise missing_extra("moto[s3], flask and flask-cors", "dev") from error

_NOT_GIVEN_ON = ("content-length", "date", "server", "connection")  # said by the server itself


class S3Server(Loopback):
    """An S3 server; its buckets are gone when it ends.

    moto keeps buckets in the process: servers that run at the same time share them, and they are
    gone when the last one ends.

    Parameters
    ----------
    strict : bool
        Whether other credentials than its own are refused with 403, as wrong signatures are; else
        any will do.  Who has none is refused what is not public either way.

    Attributes
    ----------
    key, secret : str
        Its own credentials.
    region : str
        Of the buckets.
    requests : list of Request
        What it was asked.

    Examples
    --------
    >>> import urllib.request
    >>> with S3Server() as server:
    ...     server.bucket("open-data", public=True)
    ...     with urllib.request.urlopen(f"{server.endpoint}/open-data") as listing:
    ...         b"<Name>open-data</Name>" in listing.read()
    's3://open-data'
    True
    """

    key: ClassVar[str] = "volkit-test-key"
    secret: ClassVar[str] = "volkit-test-secret"
    region: ClassVar[str] = "us-east-1"
    _running: ClassVar[int] = 0
    _public: ClassVar[set[str]] = set()
    _lock: ClassVar[Lock] = Lock()

    def __init__(self, *, strict: bool = False) -> None:
        super().__init__()
        self.strict = strict
        self._application = DomainDispatcherApplication(create_backend_app)

    @property
    def endpoint(self) -> str:
        """Where it listens, without a slash at the end."""
        return self.url

    def environment(self) -> dict[str, str]:
        """Give the variables by which clients find credentials."""
        return {
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_SESSION_TOKEN": "",  # cloud-files asks for it
            "AWS_DEFAULT_REGION": self.region,
        }

    def bucket(self, name: str, *, public: bool = False) -> str:
        """Make a bucket.

        Parameters
        ----------
        name : str
            Of the bucket.
        public : bool
            Whether anybody may list and read it.

        Returns
        -------
        str
            ``s3://NAME``.
        """
        client = boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=self.region,
            aws_access_key_id=self.key,
            aws_secret_access_key=self.secret,
        )
        client.create_bucket(Bucket=name)
        if public:
            S3Server._public.add(name)
            client.put_bucket_policy(Bucket=name, Policy=json.dumps(_readable(name)))
        client.close()
        return f"s3://{name}"

    def start(self) -> Self:
        """Begin to serve; ``with`` does so."""
        with S3Server._lock:
            S3Server._running += 1
        return super().start()

    def close(self) -> None:
        """End; the last of the servers of a process takes the buckets along."""
        super().close()
        with S3Server._lock:
            S3Server._running -= 1
            if not S3Server._running:
                S3Server._public.clear()
                _ask(self._application, Call("POST", "/moto-api/reset"), self.host)

    def answer(self, call: Call) -> Answer:
        """Answer as S3 does, to those who may ask."""
        wrong = wrong_signature(call, self.key, self.secret) if self.strict else None
        if wrong:
            return _refusal(wrong)
        if is_anonymous(call):
            return self._answer_anybody(call)
        return _ask(self._application, call, self.host)

    def _answer_anybody(self, call: Call) -> Answer:
        """Answer who does not sign: moto alone would let anybody list and write any bucket."""
        bucket = unquote(call.path).strip("/").partition("/")[0]
        if call.method not in ("GET", "HEAD"):
            return _refusal("AccessDenied")
        if bucket not in S3Server._public:
            found = _ask(self._application, call, self.host)
            return found if found.status >= 400 else _refusal("AccessDenied")
        if call.method == "HEAD":
            # moto refuses this though the bucket is public; S3 asks for no more than for GET.
            found = _ask(
                self._application, Call("GET", call.path, call.query, call.headers), self.host
            )
            return Answer(found.status, b"", found.headers, found.stated_length)
        return _ask(self._application, call, self.host)


def _ask(application: Any, call: Call, host: str) -> Answer:
    """Ask a WSGI application, whose whole answer is kept."""
    said: list[tuple[str, list[tuple[str, str]]]] = []

    def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Callable[[bytes], None]:
        said.append((status, headers))
        return lambda data: None

    parts: Iterable[bytes] = application(_environ(call, host), start)
    body = b"".join(parts)
    close = getattr(parts, "close", None)
    if close:
        close()
    status, headers = said[-1]
    lengths = [int(value) for name, value in headers if name.lower() == "content-length"]
    return Answer(
        int(status.split()[0]),
        body,
        tuple((name, value) for name, value in headers if name.lower() not in _NOT_GIVEN_ON),
        lengths[0] if lengths and call.method == "HEAD" else None,
    )


def _environ(call: Call, host: str) -> dict[str, Any]:
    """Describe a request as PEP 3333 has it."""
    name, _, port = host.partition(":")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": call.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(call.path).decode("latin-1"),
        "QUERY_STRING": call.query,
        "REQUEST_URI": call.target,
        "RAW_URI": call.target,
        "SERVER_NAME": name,
        "SERVER_PORT": port,
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": name,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(call.body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    headers = {"host": host, **call.headers, "content-length": str(len(call.body))}
    headers.pop("transfer-encoding", None)  # the body is in one piece by now
    for header, value in headers.items():
        key = header.upper().replace("-", "_")
        plain = key in ("CONTENT_TYPE", "CONTENT_LENGTH")
        environ[key if plain else f"HTTP_{key}"] = value
    return environ


def _refusal(code: str) -> Answer:
    text = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code></Error>'
    return Answer(403, text.encode(), (("Content-Type", "application/xml"),))


def _readable(bucket: str) -> dict[str, Any]:
    """Write a policy that lets anybody list and read a bucket."""
    allowed = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": ["s3:GetObject", "s3:ListBucket"],
        "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
    }
    return {"Version": "2012-10-17", "Statement": [allowed]}
