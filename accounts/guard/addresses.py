"""The client's address of a request, as far as it can be trusted."""

from __future__ import annotations

import ipaddress
import re

# Some proxies add the port: 192.0.2.1:1234, [2001:db8::1]:1234.
WITH_PORT = re.compile(r"\[(?P<six>[^\[\]]{0,60})\](:\d+)?|(?P<four>[\d.]{7,15}):\d+")
# The unit that counts as one IPv6 address: each customer of a provider has at least a whole /64.
IPV6_PREFIX = 64


def client_address(peer: str, forwarded_for: str, *, proxies: int) -> str:
    """Return the client's address: an IPv4 address, an IPv6 /64, or "unknown".

    `peer` is the other end of the connection. `forwarded_for` is the request's `X-Forwarded-For`,
    to which each proxy appends the peer that it saw. `proxies` is the number of our own proxies:
    the entry that many places from the right was written by one of them. Entries left of it can be
    forged by the client. A request with fewer entries did not pass our proxies, so its peer counts.
    """
    if proxies:
        entries = forwarded_for.split(",")
        if len(entries) >= proxies and (address := _parsed(entries[-proxies])):
            return address
    return _parsed(peer) or "unknown"


def _parsed(text: str) -> str:
    """Return an address in normal form, without its port, or an empty string if it is none."""
    text = text.strip()
    if match := WITH_PORT.fullmatch(text):
        text = match["six"] or match["four"]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is None:
            return str(ipaddress.ip_network((address, IPV6_PREFIX), strict=False))
        address = address.ipv4_mapped
    return str(address)
