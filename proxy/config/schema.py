"""What may stand in `proxy.yaml`. The descriptions become the JSON Schema that editors show."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.annotated_handlers import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from proxy.config.fields import (
    Amount,
    Count,
    Flag,
    Name,
    Port,
    PositiveDuration,
    Secret,
    Size,
    Text,
    Texts,
    Urgency,
    Window,
)


class Strict(BaseModel):
    """A mapping in which unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Shorthand:
    """Says in the JSON Schema that a plain text may stand for the mapping, as its `key`."""

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"anyOf": [{"type": "string"}, handler(core)]}


class OneOrMany:
    """One value may stand for a list of one."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_before_validator_function(
            lambda value: value if isinstance(value, list) else [value], handler(source)
        )

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        many = handler(core)
        return {"anyOf": [many["items"], many]}


def _as_mapping(key: str) -> BeforeValidator:
    """Return what makes a plain text the `key` of a mapping."""
    return BeforeValidator(lambda value: {key: value} if isinstance(value, str) else value)


class ListenerFile(Strict):
    """An address to listen on."""

    address: Text = Field(description="`host:port`, `[::1]:port`; port 0 takes a free one.")
    tls_certificate: Text | None = Field(
        default=None, description="PEM file of the certificate chain; relative to this file."
    )
    tls_key: Text | None = Field(default=None, description="PEM file of its private key.")


Listen = Annotated[ListenerFile, Shorthand(), _as_mapping("address")]


class AdminFile(Strict):
    """The admin listener: dashboard, metrics, health, API. Never reachable on the traffic side."""

    listen: Listen = Field(
        default_factory=lambda: ListenerFile(address="127.0.0.1:8081"),
        description="Default `127.0.0.1:8081`.",
    )
    token: Secret = Field(
        default="", description="Bearer token. Needed where the listener is not on loopback."
    )
    hosts: Texts = Field(
        default=(), description="Host names under which browsers may reach it, beside loopback."
    )


class StoreFile(Strict):
    """Where entries, or counts, are kept."""

    url: Secret = Field(
        description="`sqlite:PATH` (relative to the working directory), `redis://…`, `rediss://…`,"
        " `redis+sentinel://…`, `redis+cluster://…` (each also with `rediss`), or `memory:`."
    )
    namespace: Name = Field(default="quota-proxy", description="First part of every key in Redis.")
    max_connections: Count = Field(
        default=4, description="Connections to each Redis server. Default 4."
    )
    connect_timeout: PositiveDuration = Field(default=1.0, description="Default 1s.")
    timeout: PositiveDuration = Field(
        default=1.0, description="Longest that one command may take. Default 1s."
    )
    username: Text | None = Field(default=None, description="Redis ACL user.")
    password_file: Text | None = Field(
        default=None, description="File whose first line is the password; relative to this file."
    )
    tls_ca: Text | None = Field(default=None, description="PEM bundle that signs the server.")
    max_size: Size = Field(
        default=1024**3,
        description="Bytes of entries that SQLite keeps; the oldest go. Default 1GiB.",
    )


Store = Annotated[StoreFile, Shorthand(), _as_mapping("url")]


class LogFile(Strict):
    """What is logged, and how."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Hits are logged at debug only."
    )
    format: Literal["auto", "json", "console"] = Field(
        default="auto", description="`auto`: console on a terminal, else JSON."
    )


class BudgetFile(Strict):
    """A client's own budget."""

    limit: Amount = Field(description="Tokens in a window.")
    per: Window = Field(description="A duration, or minute, hour, day, month of the calendar.")
    counts: Literal["cost", "requests"] = Field(
        default="cost", description="A call spends what it costs, or 1."
    )


class ClientFile(Strict):
    """A client, known by any of its marks."""

    token: Secret = Field(
        default="",
        description="What it sends in `X-Quota-Proxy-Token`, or as the password of `http://name:token@…`.",
    )
    addresses: Texts = Field(
        default=(), description="Address ranges it comes from, as in 10.0.0.0/8."
    )
    port: Port | None = Field(default=None, description="Port of the listener that is its own.")
    weight: Amount = Field(
        default=1.0, description="Share of a scarce quota, against the others' 1."
    )
    priority: Urgency | None = Field(
        default=None, description="0 goes first, 7 last (RFC 9218); overrides what it asks for."
    )
    upstreams: Texts | None = Field(
        default=None, description="The upstreams that it may use. Default: all."
    )
    limits: dict[Name, BudgetFile] = Field(
        default_factory=dict,
        description="What it may spend of each upstream, by itself, beside the upstream's limits."
        " Nobody waits for a budget: what exceeds it is refused, or answered from the cache.",
    )


class ClientsFile(Strict):
    """Who may come in. Without it everybody may, and listeners must stay on loopback."""

    auto: Flag = Field(
        default=False,
        description="Let everybody else in too, each name (`http://P/~name/…`) or address with"
        " weight 1; together they are `unlisted` in metrics.",
    )
    named: dict[Name, ClientFile] = Field(
        default_factory=dict,
        description="Clients by name: the label in metrics, and `/~name/` in a base URL.",
    )


class ProxyFile(Strict):
    """`config/proxy.yaml`: the proxy itself, and where the upstreams' files are."""

    listen: Annotated[tuple[Listen, ...], OneOrMany()] = Field(
        default_factory=lambda: (ListenerFile(address="127.0.0.1:8080"),),
        description="Address (or addresses) for traffic. Default `127.0.0.1:8080`.",
    )
    open: Flag = Field(
        default=False, description="Allow a traffic listener beyond loopback without `clients`."
    )
    clients: ClientsFile | None = Field(default=None, description="Who may come in.")
    admin: AdminFile = Field(default_factory=AdminFile, description="The admin listener.")
    store: Store = Field(
        default_factory=lambda: StoreFile(url="sqlite:var/quota-proxy.db"),
        description="Where answers are kept. Default `sqlite:var/quota-proxy.db`.",
    )
    ledger: Store | None = Field(
        default=None, description="Where limits are counted. Default: the store."
    )
    memory: Size = Field(
        default=256 * 1024 * 1024, description="First-level cache of each process. Default 256MiB."
    )
    accelerator: Flag = Field(
        default=True,
        description="Answer request heads that were met before without parsing them again; the"
        " answers are the same. Default true.",
    )
    secret: Text | None = Field(
        default=None,
        description="What clients' own keys are hashed with where they tell entries or counts"
        " apart; the same for all instances that share a Redis. Default: made once, and kept in"
        " `var/`; with Redis: made of `namespace`.",
    )
    record: Text | None = Field(
        default=None,
        description="File to which requests are recorded, without secrets, for `quota-proxy plan`;"
        " relative to the working directory. Default: none.",
    )
    fleet_size: Count | None = Field(
        default=None,
        description="Instances that share the ledger: each may spend one such part of a limit"
        " while the ledger has never been reached. Default 1.",
    )
    log: LogFile = Field(default_factory=LogFile, description="How much is logged, in what form.")
    upstreams: Texts = Field(
        default=("upstreams/*.yaml",),
        description="The upstreams' files, relative to this one; globs.",
    )
