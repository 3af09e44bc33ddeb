"""The rule for which IP addresses are on the public internet.

A list of forbidden IPv6 networks would have gaps: a new way to embed an IPv4 address in an IPv6 one
is on no list at first. So only the IPv6 block that is assigned to the public internet is allowed.
Special networks inside that block, and special IPv4 networks, are forbidden.
"""

from __future__ import annotations

import ipaddress
from ipaddress import ip_network

from requests_hardened.ip_filter import InvalidIPAddress

# The only block that registries assign addresses from (RFC 4291; IANA, ipv6-address-space).
GLOBAL_IPV6 = ip_network("2000::/3")
# The entries of https://www.iana.org/assignments/iana-ipv6-special-registry inside that block.
SPECIAL_IPV6 = tuple(map(ip_network, (
    "2001::/23",  # protocol assignments: Teredo, ORCHID, benchmarks
    "2001:db8::/32",  # documentation
    "2002::/16",  # 6to4: an IPv4 address inside
    "2620:4f:8000::/48",  # AS112
    "3fff::/20",  # documentation
    "3ffe::/16",  # the former 6bone
)))  # fmt: skip
# https://www.iana.org/assignments/iana-ipv4-special-registry, multicast, and an address that is
# public by the registry, but internal to Azure (168.63.129.16).
SPECIAL_IPV4 = tuple(map(ip_network, (
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "168.63.129.16/32", "169.254.0.0/16",
    "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24",
    "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24",
    "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
)))  # fmt: skip


def require_public(text: str, *, or_loopback: bool) -> None:
    """Raise InvalidIPAddress unless the address is on the public internet.

    `or_loopback` also lets this machine's own addresses pass.
    """
    address = ipaddress.ip_address(text)
    if or_loopback and address.is_loopback:
        return
    if not is_public(address):
        raise InvalidIPAddress(address)


def is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Return whether an address can be a host on the public internet."""
    if isinstance(address, ipaddress.IPv6Address):
        if address not in GLOBAL_IPV6:
            return False
        special = any(address in network for network in SPECIAL_IPV6)
    else:
        special = any(address in network for network in SPECIAL_IPV4)
    # Python's own list may be newer than the one above.
    return not special and address.is_global and not address.is_multicast
