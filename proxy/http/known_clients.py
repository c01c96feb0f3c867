"""Clients that the configuration names: who is let in, as whom, with which weight and priority.

A client says who it is by its name (in the path, or as Basic's user), by its token (a header, or
Basic's password), or by where it comes from (its address, the port it came to), in this order.
Every mark that its rule sets must then hold: a name alone does not stand in for a token. Who is
in no rule is let in only under `auto`, each with an identity of its own and no label.
"""

import base64
import binascii
import hmac
import ipaddress
from collections.abc import Iterator
from typing import Final, TypeAlias

from proxy.config.settings import ClientRule, ClientSettings
from proxy.core.fields import Fields, first, without
from proxy.core.model import Client
from proxy.http.clients import Identified, Refusal, named_in_path

TOKEN_FIELD: Final = "x-quota-proxy-token"  # noqa: S105 - the name of a field
CHALLENGE: Final = (("WWW-Authenticate", 'Basic realm="quota-proxy"'),)

_Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


class KnownClients:
    """Lets in whom the configuration names."""

    generation = 0

    def __init__(self, settings: ClientSettings) -> None:
        """Take the rules; addresses in them have been checked."""
        self._auto = settings.auto
        self._rules = {rule.name: rule for rule in settings.rules}
        self._networks: dict[str, tuple[_Network, ...]] = {
            rule.name: tuple(map(ipaddress.ip_network, rule.addresses)) for rule in settings.rules
        }

    def identify(self, fields: Fields, peer: str, port: int, path: str) -> Identified | Refusal:
        """Return who asks, or why they are not let in (401: a token is wanted; 403)."""
        name, path = named_in_path(path)
        user, password = _basic(fields)
        token = first(fields, TOKEN_FIELD) or password
        fields = without(fields, {TOKEN_FIELD} if user is None else {TOKEN_FIELD, "authorization"})
        name = name or user or ""
        rule = self._rules.get(name) if name else self._unnamed(token, peer, port)
        if rule is None:
            if self._auto:
                return Identified(Client(identity=name or peer), path, fields)
            return _refused_unknown(name)
        if rule.token and not _same(rule.token, token):
            return _refused_token(rule.name)
        if not self._comes_from(rule, peer, port):
            return Refusal(403, "Not let in", f"{rule.name} comes from another address or port")
        client = Client(rule.name, rule.name, rule.weight, rule.priority)
        return Identified(client, path, fields)

    def _unnamed(self, token: str, peer: str, port: int) -> ClientRule | None:
        for rule in self._rules.values():
            if rule.token and token and _same(rule.token, token):
                return rule
        return next(self._from(peer, port), None)

    def _from(self, peer: str, port: int) -> Iterator[ClientRule]:
        """Yield the rules that go by where a client comes from, and are met."""
        for rule in self._rules.values():
            by_place = rule.port is not None or bool(rule.addresses)
            if by_place and not rule.token and self._comes_from(rule, peer, port):
                yield rule

    def _comes_from(self, rule: ClientRule, peer: str, port: int) -> bool:
        if rule.port is not None and rule.port != port:
            return False
        networks = self._networks[rule.name]
        return not networks or any(_address(peer) in network for network in networks)


def _refused_unknown(name: str) -> Refusal:
    if name:
        return Refusal(403, "Not let in", "the configuration names no such client")
    wanted = f"say who you are: a token in {TOKEN_FIELD}, or http://name:token@…"
    return Refusal(401, "Who asks?", wanted, CHALLENGE)


def _refused_token(name: str) -> Refusal:
    return Refusal(401, "Not let in", f"{name} needs its token, and this is not it", CHALLENGE)


def _same(expected: str, given: str) -> bool:
    return hmac.compare_digest(expected.encode(), given.encode("utf-8", "surrogateescape"))


def _address(peer: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    address = ipaddress.ip_address(peer.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _basic(fields: Fields) -> tuple[str | None, str]:
    """Return user and password of Basic credentials (RFC 7617); None where there are none."""
    scheme, _, encoded = (first(fields, "authorization") or "").partition(" ")
    if scheme.lower() != "basic":
        return None, ""
    try:
        plain = base64.b64decode(encoded.strip(), validate=True).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return None, ""
    user, _, password = plain.partition(":")
    return user, password
