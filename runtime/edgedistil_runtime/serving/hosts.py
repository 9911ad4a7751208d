"""Check Host headers, as a protection against DNS rebinding.

A web page can make its own name point to 127.0.0.1 and then read a server there as its own origin. The browser still
sends the page's name as Host, so that a server on loopback is protected if it answers only to loopback names.
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
        names: Allowed names in lower case, without a port; None allows every name.

    Example:
        >>> rule = HostRule.for_address("127.0.0.1", ["kitchen.local"])
        >>> rule.allows("LOCALHOST:8317"), rule.allows("kitchen.local"), rule.allows("example.com")
        (True, True, False)
    """

    names: frozenset[str] | None

    @classmethod
    def for_address(cls, address: str, allowed_hosts: Iterable[str] = ()) -> HostRule:
        """Return the rule for a server that listens on `address`, with further names in `allowed_hosts`.

        Loopback names, the address and `allowed_hosts` are allowed. On another address than loopback and without
        `allowed_hosts`, every name is allowed, because a machine's names in its network are unknown.
        """
        names = {name.lower() for name in allowed_hosts}
        if not is_loopback(address) and not names:
            return cls(None)
        return cls(frozenset(names | LOOPBACK_NAMES | {address.lower()}))

    def allows(self, header: str | None) -> bool:
        """Return True if requests with this Host header are answered; None means no header."""
        return self.names is None or (header is not None and _name(header) in self.names)


def is_loopback(address: str) -> bool:
    """Return True if only programs on this machine can reach the address.

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
    """Return the host in `host:port`; an IPv6 address is in brackets (RFC 9110, section 7.2)."""
    if header.startswith("["):
        return header[1:].partition("]")[0].lower()
    return header.partition(":")[0].lower().rstrip(".")
