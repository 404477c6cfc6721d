"""Requests: what a loopback server was asked."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Request:
    """One request and the answer to it.

    Parameters
    ----------
    method, path : str
        As they came, with the query.
    status : int
        Of the answer.
    bytes : int
        Length of the answer's body; for HEAD, what GET would have.
    headers : mapping
        Of the request; names in lower case.
    """

    method: str
    path: str
    status: int
    bytes: int
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
