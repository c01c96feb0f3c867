"""What may stand in an upstream's file. The descriptions become the JSON Schema for editors.

What an endpoint does not say, `defaults` says; what neither says, the upstream, or a constant of
`proxy.core.upstreams`.
"""

from typing import Literal

from pydantic import Field

from proxy.config.batches import BatchFile
from proxy.config.fields import (
    Amount,
    Conditions,
    ContentType,
    CostTable,
    Count,
    Duration,
    Factor,
    FieldName,
    FieldNames,
    Flag,
    Interval,
    Lifetime,
    Methods,
    Name,
    Pace,
    Plains,
    PositiveDuration,
    Resets,
    Secret,
    Share,
    SizeOrAny,
    Status,
    Statuses,
    StatusesOrAll,
    StatusTtls,
    Text,
    Texts,
    Urgency,
    Window,
)
from proxy.config.schema import Strict
from proxy.config.series import ContainsFile, RoundFile


class LimitFile(Strict):
    """One quota of the provider."""

    limit: Amount = Field(description="Tokens in a window; the rate of a token bucket.")
    per: Window = Field(description="A duration, or minute, hour, day, month of the calendar.")
    algorithm: Literal["sliding_window", "fixed_window", "token_bucket"] | None = Field(
        default=None,
        description="How tokens come back. `sliding_window`: each after `per`, so never more than"
        " `limit` in any window (the default). `fixed_window`: all at the calendar's boundary (the"
        " default for day and month). `token_bucket`: continuously; needs `burst`.",
    )
    burst: Amount | None = Field(default=None, description="Largest level of a token bucket.")
    of: Literal["address", "credential"] = Field(
        default="address",
        description="One count for all, or one for each credential that goes upstream.",
    )
    counts: Literal["cost", "requests"] = Field(
        default="cost", description="An exchange spends its cost, or 1."
    )
    scope: Literal["all", "named"] = Field(
        default="all", description="`named`: only endpoints whose cost names it spend from it."
    )
    each: Literal["endpoint"] | None = Field(
        default=None, description="`endpoint`: every endpoint has a count of its own."
    )
    charged_for: StatusesOrAll = Field(
        default=None, description="Statuses that the provider counts. Default `all`."
    )
    resets: Resets = Field(
        default=None, description="Day of the month, or HH:MM, at which a calendar window begins."
    )
    timezone: Text = Field(default="UTC", description="Of the calendar, as in Europe/Berlin.")
    pace: Pace | None = Field(
        default=None,
        description="Spread a day or month evenly: `even` lets spending run ahead of the calendar"
        " by 10% of the limit; a share says how much.",
    )
    reserve: Share = Field(
        default=0.0, description="Share that only private and high-priority requests may touch."
    )


class CredentialsFile(Strict):
    """The proxy's own key, put on what it sends."""

    header: FieldName | None = Field(default=None, description="Header field that carries it.")
    query: Text | None = Field(default=None, description="Or query parameter that carries it.")
    value: Secret = Field(default="", description='The key, as in "${COINGECKO_API_KEY:-}".')
    required: Flag | None = Field(
        default=None,
        description="Send nothing without it (503 that names the variable). Default: true in a"
        " plan, else false.",
    )


class MarksFile(Strict):
    """Header fields and query parameters by name."""

    headers: FieldNames = Field(default=(), description="Header fields, in any case.")
    parameters: Texts = Field(default=(), description="Query parameters.")


class Behaviour(Strict):
    """What an endpoint and `defaults` can both say."""

    ttl: Lifetime | None = Field(
        default=None, description="How long an answer is fresh; a table may say."
    )
    stale_while_revalidate: Lifetime | None = Field(
        default=None,
        description="How long after that it is served while one refresh runs. Default 0.",
    )
    stale_if_error: Lifetime | None = Field(
        default=None, description="How long after `ttl` it may stand in for a failure. Default 0."
    )
    upstream_cache_control: Literal["ignore", "cap", "obey"] | None = Field(
        default=None,
        description="Whose word on freshness rules: `ignore` (ttl), `cap` (the shorter of both),"
        " `obey` (RFC 9111; ttl is not used). Default ignore.",
    )
    max_age: Duration | None = Field(
        default=None, description="Oldest answer ever given, stretch and rescue included."
    )
    negative_ttl: Duration | None = Field(
        default=None, description="How long 404 and 410 are kept, at most the ttl. Default 30s."
    )
    negative: StatusTtls | None = Field(
        default=None, description="Further statuses that are kept, and how long, as in {400: 30s}."
    )
    stretch: Factor | None = Field(
        default=None, description="Most that lifetimes grow by as a limit nears its end, as in 3x."
    )
    cost: CostTable | None = Field(
        default=None,
        description="What a request spends: a figure, a table, or {LIMIT: figure or table}."
        " Default 1.",
    )
    methods: Methods | None = Field(default=None, description="Others are refused with 405.")
    headers: FieldNames | None = Field(
        default=None,
        description="Request fields that change the answer: part of the key, and sent.",
    )
    ignored_parameters: Texts | None = Field(
        default=None, description="Query parameters that do not change the answer: not in the key."
    )
    content_type: ContentType | None = Field(
        default=None,
        description="What an answer must be to be kept, or `any`. Default application/json.",
    )
    max_size: SizeOrAny | None = Field(
        default=None, description="Largest answer that is kept, or `any`. Default 8MiB."
    )
    client_refresh: Flag | None = Field(
        default=None, description="Obey `no-cache` and `no-store` of clients, which spend quota."
    )
    max_wait: Duration | None = Field(
        default=None, description="Longest wait for quota with nothing to fall back on. Default 5s."
    )
    rescue_after: Duration | None = Field(
        default=None,
        description="Where there is a fallback, it is served after this. Default 500ms.",
    )
    priority: Urgency | None = Field(default=None, description="0 first, 7 last. Default 3.")
    refresh_ahead: Flag | None = Field(
        default=None,
        description="Fetch anew what is used often before it ends, where quota is to spare.",
    )
    worn_after: Duration | None = Field(
        default=None,
        description="With `refresh_ahead`: do so not shortly before the end, but once its hits were"
        " given this much age, all together.",
    )


class EndpointFile(Behaviour):
    """A rule for the requests that meet its path and conditions."""

    path: Text = Field(description="Template: `/coins/{id}`; a last `{rest:path}` takes the rest.")
    query: Conditions = Field(
        default=(), description="Query parameters that must have these values."
    )
    live: Flag = Field(
        default=False,
        description="Forwarded and charged; never stored, joined, queued or rescued (clocks).",
    )
    private: Flag = Field(default=False, description="Every request is private.")
    cache_body: Flag = Field(
        default=False, description="A POST that only reads: kept, its body part of the key."
    )
    needs_client_key: Flag = Field(
        default=False,
        description="The client's own key goes upstream, and is part of the cache key.",
    )
    ignore_usage: Flag = Field(
        default=False, description="The provider's usage fields are wrong here."
    )
    tags: Texts = Field(default=(), description="Names under which answers can be purged together.")
    align: Interval | None = Field(
        default=None,
        description="Its answers hold candles, and end 1 s after theirs close: the query parameter"
        " that names the interval (1m, 1d, 1M), or a table of how long they are.",
    )
    round: RoundFile | None = Field(
        default=None,
        description="Bring the ends of a range to when candles open: the same answer, one key.",
    )
    settled: Duration = Field(
        default=0.0, description="TTL of a range that lies wholly in the past, as in 7d."
    )
    contains: ContainsFile | None = Field(
        default=None, description="A longer answer that is stored holds a shorter one."
    )
    batch: BatchFile | None = Field(default=None, description="How its requests share calls.")


class PlanFile(Strict):
    """What one of the provider's plans changes."""

    base_url: Text | None = Field(default=None, description="In place of the upstream's.")
    credentials: CredentialsFile | None = Field(
        default=None, description="In place of the upstream's."
    )
    limits: dict[Name, LimitFile] = Field(
        default_factory=dict, description="Beside the upstream's; same names win."
    )


class BodyCheckFile(Strict):
    """An error that hides in an answer."""

    path: Text = Field(description="Where in the JSON: dotted, `*` for any member.")
    values: Plains = Field(
        default=(), description="Values that mean an error. Without any: all but empty."
    )
    contains: Texts = Field(default=(), description="Parts of a text that mean an error.")
    statuses: Statuses = Field(default=frozenset({200}), description="Where to look. Default 200.")
    counts_as: Literal["limit", "error"] = Field(
        default="limit", description="`limit`: like a 429, holds the upstream; `error`: like a 500."
    )


class UsageFile(Strict):
    """Where the provider says how much of a limit is used."""

    limit: Name = Field(description="The limit it speaks of.")
    header: FieldName | None = Field(default=None, description="Header field with the figure.")
    body: Text | None = Field(default=None, description="Or where in the JSON body, dotted.")
    means: Literal["used", "remaining", "cost", "limit"] = Field(
        default="used",
        description="What the figure is: used in this window, what is left, what this"
        " exchange cost, or how large the limit is.",
    )
    reset_header: FieldName | None = Field(
        default=None, description="Header field: when it resets."
    )
    reset_unit: Literal["epoch_s", "epoch_ms", "seconds"] = Field(
        default="epoch_s", description="How that field counts."
    )


class BlockFile(Strict):
    """An answer that means "stay away"."""

    status: Status = Field(description="Its status.")
    contains: Text = Field(default="", description="A part of its body.")
    hold: PositiveDuration = Field(description="How long to stay away.")


class HoldFile(Strict):
    """How the provider says "leave me alone", beside Retry-After."""

    statuses: Statuses = Field(default=frozenset({418, 429}), description="Default 418 and 429.")
    until: Texts = Field(
        default=(),
        description="Regular expressions for the body; the group is the end, epoch in ms.",
    )
    blocks: list[BlockFile] = Field(
        default_factory=list, description="Answers of other kinds that say so."
    )
    first: PositiveDuration = Field(
        default=10.0, description="First step where no time is named; it doubles. Default 10s."
    )
    most: PositiveDuration = Field(default=3600.0, description="Longest step. Default 1h.")


class UsageFromFile(Strict):
    """Where the provider tells, when asked, what was spent before we came."""

    path: Text = Field(description="As at the provider; asked for once, when the proxy starts.")
    used: Text = Field(description="Where the figure stands in the JSON body, dotted.")
    limit: Name = Field(description="The limit that it is of.")
    plans: Texts = Field(default=(), description="Plans that may ask so; none named: all.")


class UpstreamFile(Strict):
    """`config/upstreams/NAME.yaml`: a provider."""

    name: Name = Field(description="Label in metrics, keys and the API.")
    base_url: Text = Field(description="`https://host[:port][/path]`.")
    prefix: Text | None = Field(
        default=None, description="Path under which bots find it, cut off. Default `/<name>`."
    )
    hosts: Texts = Field(default=(), description="Host names that are its own.")
    listen: Text | None = Field(default=None, description="`host:port` that is its own, or `off`.")
    plan: Text | None = Field(
        default=None,
        description="One of `plans`, or `auto`: the first whose key is set, else the keyless.",
    )
    plans: dict[Name, PlanFile] = Field(default_factory=dict, description="The provider's plans.")
    credentials: CredentialsFile | None = Field(default=None, description="The proxy's own key.")
    client_credentials: Literal["replace", "forward", "refuse"] = Field(
        default="replace",
        description="Keys that clients bring: cut off, the proxy's own in their place; sent on,"
        " with a cache of their own; or refused.",
    )
    secrets: MarksFile = Field(default_factory=MarksFile, description="What else carries keys.")
    private: MarksFile = Field(
        default_factory=MarksFile, description="What else makes a request private."
    )
    limits: dict[Name, LimitFile] = Field(
        default_factory=dict, description="The provider's quotas."
    )
    defaults: Behaviour = Field(
        default_factory=Behaviour, description="What endpoints do not say themselves."
    )
    endpoints: dict[Name, EndpointFile] = Field(default_factory=dict, description="The rules.")
    methods: Methods | None = Field(default=None, description="Others are refused with 405.")
    unmatched: Literal["pass", "cache", "refuse"] = Field(
        default="pass",
        description="What meets no endpoint: passed on, kept for the defaults' ttl, or 404.",
    )
    unmatched_cost: CostTable | None = Field(default=None, description="What it spends. Default 1.")
    deadline: PositiveDuration = Field(
        default=8.0, description="Waiting and exchange together. Default 8s: SDKs give up at 10 s."
    )
    timeout: PositiveDuration = Field(default=8.0, description="One exchange. Default 8s.")
    connect_timeout: PositiveDuration = Field(default=3.0, description="Default 3s.")
    max_wait: Duration | None = Field(default=None, description="As on an endpoint. Default 5s.")
    rescue_after: Duration | None = Field(
        default=None, description="As on an endpoint. Default 500ms."
    )
    priority: Urgency | None = Field(default=None, description="As on an endpoint. Default 3.")
    max_waiting: Count = Field(
        default=1000, description="Most requests that wait for quota at once."
    )
    retry_after_max: PositiveDuration = Field(
        default=60.0,
        description="Longest Retry-After ever sent: some clients sleep on it. Default 60s.",
    )
    body_checks: list[BodyCheckFile] = Field(
        default_factory=list, description="Errors that hide in answers."
    )
    usage_from: UsageFromFile | None = Field(
        default=None, description="Asks the provider at start what was spent before we came."
    )
    usage: list[UsageFile] = Field(
        default_factory=list, description="Where the provider reports usage."
    )
    hold: HoldFile = Field(default_factory=HoldFile, description='How it says "leave me alone".')
    when_ledger_lost: Literal["share", "refuse"] = Field(
        default="share",
        description="Without the ledger: spend one's share of the limits, or nothing.",
    )
    outbound_proxy: Secret = Field(default="", description="HTTP proxy on the way to it.")
    tls_ca: Text | None = Field(
        default=None, description="PEM bundle that signs it; relative to the file."
    )
    user_agent: Text = Field(default="quota-proxy", description="User-Agent that it sees.")
    error_body: Literal["", "binance", "coingecko", "coinmarketcap"] = Field(
        default="", description="Whose SDKs must be able to read the proxy's own errors."
    )
    warm: Texts = Field(
        default=(),
        description="Paths, with their queries and without the prefix, that are fetched at the"
        " start and kept fresh, where quota is to spare.",
    )
    rewrite_links: Flag = Field(
        default=False,
        description="Absolute links to it in bodies become links to the proxy, keys taken out.",
    )
