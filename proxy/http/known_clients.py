"""Clients that the configuration names: who is let in, as whom, with which weight and priority.

A client says who it is by its name (in the path, or as Basic's user), by its token (a header, or
Basic's password), or by where it comes from (its address, the port it came to), in this order.
Every mark that its rule sets must then hold: a name alone does not stand in for a token. Who is
in no rule is let in only under `auto`, each with an identity of its own and one label for all.
Basic credentials that name no client are the provider's matter, and pass.
"""

import base64
import binascii
import hmac
import ipaddress
from collections.abc import Iterator
from typing import Final, TypeAlias

from proxy.config.settings import UNLISTED, ClientRule, ClientSettings
from proxy.core.fields import Fields, first, without
from proxy.core.model import Client
from proxy.http.clients import Identified, Refusal, named_in_path

TOKEN_FIELD: Final = "x-quota-proxy-token"  # noqa: S105 - the name of a field
CHALLENGE: Final = (("WWW-Authenticate", 'Basic realm="quota-proxy"'),)

_Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


class KnownClients:
    """Lets in whom the configuration names."""

    def __init__(self, settings: ClientSettings) -> None:
        """Take the rules; addresses in them have been checked."""
        self.generation = -1
        self.configure(settings)

    def configure(self, settings: ClientSettings) -> None:
        """Take the rules in force from the next request on."""
        self.generation += 1
        self._auto = settings.auto
        self._rules = {rule.name: rule for rule in settings.rules}
        self._networks: dict[str, tuple[_Network, ...]] = {
            rule.name: tuple(map(ipaddress.ip_network, rule.addresses)) for rule in settings.rules
        }

    def identify(self, fields: Fields, peer: str, port: int, path: str) -> Identified | Refusal:
        """Return who asks, or why they are not let in (401: a token is wanted; 403)."""
        name, path = named_in_path(path)
        basic = _basic(fields)
        given = first(fields, TOKEN_FIELD) or ""
        fields = without(fields, {TOKEN_FIELD})
        if basic is not None and self._is_ours(basic, name, given, peer, port):
            fields = without(fields, {"authorization"})
            user, password = basic
            listed = user in self._rules or self._of_token(password) is None
            name = name or (user if listed else "")  # a token says it, whatever stands before it
            given = given or password
        rule = self._rules.get(name) if name else self._unnamed(given, peer, port)
        if rule is None:
            if self._auto:
                return Identified(Client(UNLISTED, name or peer), path, fields)
            return _refused_unknown(name)
        if rule.token and not _same(rule.token, given):
            return _refused_token(rule.name)
        if not self._comes_from(rule, peer, port):
            return Refusal(403, "Not let in", f"{rule.name} comes from another address or port")
        client = Client(
            rule.name, rule.name, rule.weight, rule.priority, rule.upstreams, rule.limits
        )
        return Identified(client, path, fields)

    def _is_ours(self, basic: tuple[str, str], name: str, given: str, peer: str, port: int) -> bool:
        """Whether Basic credentials say who asks; else they are meant for the provider."""
        user, password = basic
        if name:
            rule = self._rules.get(name)
            return rule is not None and bool(rule.token) and _same(rule.token, password)
        if user in self._rules or self._of_token(password) is not None:
            return True
        return self._unnamed(given, peer, port) is None

    def _unnamed(self, token: str, peer: str, port: int) -> ClientRule | None:
        return self._of_token(token) or next(self._from(peer, port), None)

    def _of_token(self, token: str) -> ClientRule | None:
        for rule in self._rules.values():
            if rule.token and token and _same(rule.token, token):
                return rule
        return None

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
        if not networks:
            return True
        address = _address(peer)
        return address is not None and any(address in network for network in networks)


def _refused_unknown(name: str) -> Refusal:
    if name:
        return Refusal(403, "Not let in", "the configuration names no such client")
    wanted = f"say who you are: a token in {TOKEN_FIELD}, or http://name:token@…"
    return Refusal(401, "Client unknown", wanted, CHALLENGE)


def _refused_token(name: str) -> Refusal:
    return Refusal(401, "Not let in", f"{name} needs its token, and this is not it", CHALLENGE)


def _same(expected: str, given: str) -> bool:
    return hmac.compare_digest(expected.encode(), given.encode("utf-8", "surrogateescape"))


def _address(peer: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:  # a socket of the file system's has no address
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _basic(fields: Fields) -> tuple[str, str] | None:
    """Return user and password of Basic credentials (RFC 7617); None where there are none."""
    scheme, _, encoded = (first(fields, "authorization") or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        plain = base64.b64decode(encoded.strip(), validate=True).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return None
    user, _, password = plain.partition(":")
    return user, password
