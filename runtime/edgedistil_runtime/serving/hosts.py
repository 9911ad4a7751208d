"""Which Host headers are answered.

A page on the web can make its own name point at 127.0.0.1 (DNS rebinding) and then read, as same-origin, whatever
listens there. The browser still sends the page's name as Host: a server on loopback that answers loopback names alone
is not reachable that way.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["HostRule", "is_loopback"]

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True)
class HostRule:
    """The names that a Host header may have.

    Attributes:
        names: in lower case, without a port; None allows every name.

    Example:
        >>> rule = HostRule.for_address("127.0.0.1", ["kitchen.local"])
        >>> rule.allows("LOCALHOST:8317"), rule.allows("kitchen.local"), rule.allows("example.com")
        (True, True, False)
    """

    names: frozenset[str] | None

    @classmethod
    def for_address(cls, address: str, allowed_hosts: Iterable[str] = ()) -> HostRule:
        """The rule for a server that listens on `address`, with further names in `allowed_hosts`.

        On loopback: loopback names, the address and those. On another address: those with loopback names, or every
        name if none is given, as the names of a machine in its network are not known here.
        """
        names = {name.lower() for name in allowed_hosts}
        if not is_loopback(address) and not names:
            return cls(None)
        return cls(frozenset(names | LOOPBACK_NAMES | {address.lower()}))

    def allows(self, header: str | None) -> bool:
        """Whether a request with this Host header is answered; None where it has none."""
        return self.names is None or (header is not None and _name(header) in self.names)


def is_loopback(address: str) -> bool:
    """Whether only programs of this machine reach the address.

    Example:
        >>> [is_loopback(address) for address in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "")]
        [True, True, True, False, False]
    """
    if address.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _name(header: str) -> str:
    """The host in `host:port`, where an IPv6 address stands in brackets (RFC 9110, section 7.2)."""
    if header.startswith("["):
        return header[1:].partition("]")[0].lower()
    return header.partition(":")[0].lower().rstrip(".")
