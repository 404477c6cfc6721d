"""S3 on loopback: moto's server in a thread of this process, with its buckets in memory."""

import json
import logging
from collections.abc import Callable, Iterable
from threading import Thread
from types import TracebackType
from typing import Any, Self
from urllib.request import Request as HttpRequest
from urllib.request import urlopen

from volkit.errors import missing_extra
from volkit.testing.servers.requests import Request

try:
    from moto.moto_server.werkzeug_app import (
        DomainDispatcherApplication,
        MotoRequestHandler,
        create_backend_app,
    )
    from werkzeug.serving import make_server
except ImportError as error:
    raise missing_extra("moto[s3], flask and flask-cors", "dev") from error

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class S3Server:
    """An S3 server; its buckets are gone when it ends.

    Servers of one process share their buckets: moto keeps them in the process.

    Attributes
    ----------
    key, secret : str
        Credentials that it takes.
    requests : list of Request
        What it was asked.
    """

    key = "volkit-test-key"
    secret = "volkit-test-secret"
    region = "us-east-1"

    def __init__(self) -> None:
        self.requests: list[Request] = []
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        application = self._noting(DomainDispatcherApplication(create_backend_app))
        self._server = make_server(
            "127.0.0.1", 0, application, threaded=True, request_handler=_QuietHandler
        )
        self._server.daemon_threads = True  # type: ignore[attr-defined]
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def endpoint(self) -> str:
        """Where it listens, without a slash at the end."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

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
            Whether anybody may read it.

        Returns
        -------
        str
            ``s3://NAME``.
        """
        import boto3

        client = boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=self.region,
            aws_access_key_id=self.key,
            aws_secret_access_key=self.secret,
        )
        client.create_bucket(Bucket=name)
        if public:
            client.put_bucket_policy(Bucket=name, Policy=json.dumps(_readable(name)))
        client.close()
        return f"s3://{name}"

    def clear_requests(self) -> None:
        """Forget what was asked."""
        self.requests.clear()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        forget = HttpRequest(f"{self.endpoint}/moto-api/reset", method="POST")
        urlopen(forget).close()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _noting(self, application: Wsgi) -> Wsgi:
        """Keep what is asked of an application."""

        def noted(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
            query = environ.get("QUERY_STRING", "")
            path = environ.get("PATH_INFO", "") + (f"?{query}" if query else "")
            headers = {
                name[5:].replace("_", "-").lower(): str(value)
                for name, value in environ.items()
                if name.startswith("HTTP_")
            }

            def begin(status: str, given: list[tuple[str, str]], *rest: Any) -> Any:
                length = int({k.lower(): v for k, v in given}.get("content-length", 0))
                method = environ.get("REQUEST_METHOD", "")
                self.requests.append(Request(method, path, int(status[:3]), length, headers))
                return start(status, given, *rest)

            return application(environ, begin)

        return noted


class _QuietHandler(MotoRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log(self, kind: str, message: str, *arguments: Any) -> None:
        """Say nothing; requests are kept by the server."""


def _readable(bucket: str) -> dict[str, Any]:
    """Write a policy that lets anybody read a bucket."""
    allowed = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": ["s3:GetObject", "s3:ListBucket"],
        "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
    }
    return {"Version": "2012-10-17", "Statement": [allowed]}
