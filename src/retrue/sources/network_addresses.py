"""Which addresses of the network a source may be fetched from."""

import ipaddress
import socket

from retrue.errors import DataError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# Where clouds hand a machine's credentials to whoever asks from the inside (AWS's IPv6 address,
# Alibaba's, and Azure's wire server); 169.254.169.254 is link-local.
_METADATA = {ipaddress.ip_address(a) for a in ("fd00:ec2::254", "100.100.100.200", "168.63.129.16")}


def checked_addresses(host: str, port: int, where: str, *, private: bool) -> list[str]:
    """Addresses that a name resolves to, each of which may be connected to.

    Parameters
    ----------
    host : str
        Name or address.
    port : int
        For the resolver.
    where : str
        For errors.
    private : bool
        Whether addresses of this machine and the local network are allowed.

    Raises
    ------
    DataError
        If the name does not resolve, or any of its addresses is link-local, a cloud's metadata
        service, or private where that is not allowed.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        text = getattr(error, "strerror", None) or "no such name"
        raise DataError("a host", str(text), where, "correct the URL or the network") from None
    addresses = list(dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in found))
    for text in addresses:
        address = _plain(ipaddress.ip_address(text))
        if address.is_link_local or address in _METADATA or address.is_unspecified:
            raise DataError(
                "an address of a data server",
                f"{text}, link-local or a metadata service",
                where,
                "use a URL that leads to the data itself",
            )
        if not private and is_private(text):
            raise DataError(
                "a redirect to a public address",
                f"{text}, a private one",
                where,
                "configure the final URL itself if it is right",
            )
    return addresses


def is_private(address: str) -> bool:
    """Whether an address is of this machine or a local network."""
    plain = _plain(ipaddress.ip_address(address))
    return plain.is_private or plain.is_loopback


def _plain(address: Address) -> Address:
    """The IPv4 address within an IPv6 one, which leads to the same place."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in ipaddress.ip_network("64:ff9b::/96"):
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        return inner or address
    return address
