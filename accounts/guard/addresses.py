"""Where a request comes from, as far as it can be trusted."""

from __future__ import annotations

import ipaddress
import re

# Some proxies add the port: 192.0.2.1:1234, [2001:db8::1]:1234.
WITH_PORT = re.compile(r"\[(?P<six>[^\[\]]{0,60})\](:\d+)?|(?P<four>[\d.]{7,15}):\d+")
# A customer of an IPv6 provider has at least a /64, and so as many addresses as anybody could want.
IPV6_PREFIX = 64


def client_address(peer: str, forwarded_for: str, *, proxies: int) -> str:
    """Return the address that counts for a request: an IPv4 address, or an IPv6 /64.

    `peer` is the other end of the connection. `forwarded_for` is the request's `X-Forwarded-For`:
    each proxy appends the peer that it saw, so that the entry `proxies` places from the right was
    written by a proxy of ours. What stands left of it is what the client says. A request with fewer
    entries did not come through our proxies; its peer counts.
    """
    if proxies:
        entries = forwarded_for.split(",")
        if len(entries) >= proxies and (address := _parsed(entries[-proxies])):
            return address
    return _parsed(peer) or "unknown"


def _parsed(text: str) -> str:
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
