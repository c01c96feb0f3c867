"""What an operator configured, checked and frozen: upstreams, their endpoints, limits, holds.

`proxy.config` makes these from YAML; nothing in here knows about YAML. Durations are seconds.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from proxy.core.marks import DESCRIBE_BODY, MARKS, PATIENCE
from proxy.core.model import Lifetimes, Policy
from proxy.core.series import Contains, Span
from proxy.core.shapes import Batch
from proxy.core.tables import Table


class Algorithm(StrEnum):
    """How tokens come back."""

    SLIDING_WINDOW = "sliding_window"
    """Each `per` after it was counted: never more than `limit` in any window."""
    FIXED_WINDOW = "fixed_window"
    """All at once, at the calendar's (or the aligned window's) boundary."""
    TOKEN_BUCKET = "token_bucket"  # noqa: S105 - no password: an algorithm
    """Continuously, `limit / per` a second, up to `burst`."""


class CalendarUnit(StrEnum):
    """Windows that follow a calendar and not a stopwatch."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class Limit:
    """One quota of an upstream."""

    name: str
    limit: float
    per: float | CalendarUnit
    """Seconds, or a calendar's unit."""
    algorithm: Algorithm
    burst: float | None = None
    """Largest level of a token bucket."""
    of: str = "address"
    """`address`: one count for all; `credential`: one for each credential that goes upstream;
    `client`: a configured client's own budget."""
    counts: str = "cost"
    """`cost`: an exchange spends its endpoint's cost; `requests`: it spends 1."""
    scope: str = "all"
    """`all` endpoints spend from it; `named`: only those whose cost names it."""
    each_endpoint: bool = False
    """Every endpoint has a count of its own."""
    charged_for: frozenset[int] | None = None
    """Statuses that the provider counts; None: every request."""
    resets_day: int = 1
    """Day of the month on which a monthly window begins (clipped to the month's length)."""
    resets_time: float = 0.0
    """Seconds after midnight at which a daily or monthly window begins."""
    timezone: str = "UTC"
    pace: float | None = None
    """`pace: even`: the share of `limit` by which spending may run ahead of the calendar."""
    reserve: float = 0.0
    """Share of `limit` (0 to 1) that only private and high-priority requests may touch."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a request spends.

    `general` from every `counts: cost` limit in scope `all`; `named` from the limits it names,
    which alone reaches `scope: named`.
    """

    general: Table = 1.0
    named: tuple[tuple[str, Table], ...] = ()


@dataclass(frozen=True, slots=True)
class Credentials:
    """The proxy's own key. `value` is secret: never logged, keyed or stored."""

    header: str | None = None
    query: str | None = None
    value: str = field(default="", repr=False)
    variable: str = ""
    """Environment variable that the value comes from, for messages."""
    required: bool = False


@dataclass(frozen=True, slots=True)
class BodyCheck:
    """An error hidden in an answer.

    It is one where `path` (dotted, `*` for any member) of the JSON body holds one of `values`, or
    anything non-empty where neither `values` nor `contains` is set.
    """

    path: str
    values: tuple[str, ...] = ()
    statuses: frozenset[int] = frozenset({200})
    counts_as: str = "limit"
    """`limit`: like a 429 (a hold); `error`: like a 500 (no hold)."""
    contains: tuple[str, ...] = ()
    """Parts of a text value that match, where whole values are not known."""


@dataclass(frozen=True, slots=True)
class Usage:
    """A field in which the provider reports usage of a limit."""

    limit: str
    header: str | None = None
    body: str | None = None
    """Dotted path in the JSON body, instead of a header (CoinMarketCap: `status.credit_count`)."""
    means: str = "used"
    """`used` (in the present window), `remaining`, `cost` (of this exchange) or `limit`."""
    reset_header: str | None = None
    reset_unit: str = "epoch_s"
    """`epoch_s`, `epoch_ms` or `seconds` from now."""


@dataclass(frozen=True, slots=True)
class UsageFrom:
    """Where the provider tells, when asked, what was spent before we came."""

    path: str
    """As at the provider, without the prefix; asked for once at start, and charged as ever."""
    used: str
    """Dotted path of the figure in the JSON body."""
    limit: str


@dataclass(frozen=True, slots=True)
class Hold:
    """How an upstream says "leave me alone", beside Retry-After: 429 and 418 always do."""

    statuses: frozenset[int] = frozenset({429, 418})
    body_patterns: tuple[str, ...] = ()
    """Regular expressions with one group: an epoch in ms until which we are banned."""
    blocked_statuses: tuple[tuple[int, str, float], ...] = ()
    """`(status, part of the body, seconds)`: e.g. 403 "access too frequent": 600 s."""
    first: float = 10.0
    """First step where the provider names no time; doubled each further time, up to `most`."""
    most: float = 3600.0


@dataclass(frozen=True, slots=True)
class Segment:
    """One part of a path template: literal text, `{name}`, or a last `{rest:path}`."""

    kind: str
    """`literal`, `variable` or `rest`."""
    text: str


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A rule of an upstream."""

    name: str
    upstream: str
    path: str
    """The template as written."""
    segments: tuple[Segment, ...]
    conditions: tuple[tuple[str, str], ...] = ()
    """Query parameters that must have these values."""
    methods: frozenset[str] | None = None
    """Methods let through; None: the upstream's, or any."""
    policy: Policy = Policy.IGNORE
    ttl: Table | None = None
    """None only under `obey`."""
    stale_while_revalidate: Table = 0.0
    stale_if_error: Table = 0.0
    max_age: float | None = None
    """Oldest answer ever given, stretch and rescue included."""
    negative_ttl: float = 30.0
    negative: tuple[tuple[int, float], ...] = ()
    """Further statuses stored, with their TTL."""
    stretch: float = 1.0
    """Most that lifetimes may grow by as a limit nears its end."""
    cost: Cost = Cost()
    live: bool = False
    private: bool = False
    """Every request is private, whatever it carries."""
    cache_body: bool = False
    """A POST that only reads: cached, keyed by its body."""
    needs_client_key: bool = False
    client_refresh: bool = False
    headers: tuple[str, ...] = ()
    """Request fields (lower case) that change the answer: keyed, and sent."""
    ignored_parameters: frozenset[str] = frozenset()
    """Query parameters that do not matter to the answer: not keyed (`_`, `timestamp`)."""
    content_type: str | None = "application/json"
    """What an answer must be to be stored; None: anything."""
    max_size: float = 8 * 1024 * 1024
    """Largest body stored, bytes; `inf`: any."""
    ignore_usage: bool = False
    """The provider's usage fields are wrong on this endpoint."""
    max_wait: float = 5.0
    rescue_after: float = 0.5
    priority: int = 3
    tags: tuple[str, ...] = ()
    batch: Batch | None = None
    """How its requests can share calls."""
    align: str | Table | None = None
    """How long the candles in its answers are: the parameter that names their interval (`1m`, `1d`,
    `1M`), or a table of seconds. No answer outlives its candles."""
    round: Span | None = None
    """Parameters that are brought to when candles open."""
    settled: float = 0.0
    """TTL of a range that lies wholly in the past; 0: the same as of any other."""
    contains: Contains | None = None
    """How a longer answer holds a shorter one."""
    refresh_ahead: bool = False
    """What is used often is fetched anew before it ends, where quota is to spare."""
    worn_after: float = 0.0
    """Then not shortly before its end, but once its hits were given so many seconds of age, all
    together; 0: shortly before its end."""
    lifetimes: Lifetimes | None = field(init=False, compare=False, repr=False)
    """The configured ones, where no parameter changes them; None: see `costs.lifetimes`."""
    variables: tuple[tuple[str, int], ...] = field(init=False, compare=False, repr=False)
    """The variables of the template that take one segment, and which that is."""
    rest: bool = field(init=False, compare=False, repr=False)
    """Whether a last variable takes all that remains."""

    def __post_init__(self) -> None:
        kinds = [segment.kind for segment in self.segments]
        placed = [
            (segment.text, index)
            for index, segment in enumerate(self.segments)
            if segment.kind == "variable"
        ]
        object.__setattr__(self, "variables", tuple(placed))
        object.__setattr__(self, "rest", "rest" in kinds)
        told = (self.ttl or 0.0, self.stale_while_revalidate, self.stale_if_error)
        plain = [max(0.0, float(each)) for each in told if isinstance(each, float | int)]
        fixed = Lifetimes(*plain) if len(plain) == len(told) else None
        object.__setattr__(self, "lifetimes", fixed)

    @property
    def refreshable(self) -> bool:
        """Whether its answers are stored, and can be asked for without a client."""
        stored = not (self.live or self.private) and self.ttl not in {None, 0}
        return stored and self.policy is not Policy.OBEY


@dataclass(frozen=True, slots=True)
class Upstream:
    """A provider, with the plan that was chosen for it."""

    name: str
    base_url: str
    prefix: str
    endpoints: tuple[Endpoint, ...]
    unmatched: Endpoint | None
    """The rule for what meets no endpoint (`pass`, `cache`); None: refuse with 404."""
    hosts: tuple[str, ...] = ()
    listen: str | None = None
    plan: str = ""
    disabled: str = ""
    """Why nothing may be sent (names the missing variable); empty: enabled."""
    credentials: Credentials = Credentials()
    client_credentials: str = "replace"
    """`replace`, `forward` or `refuse`."""
    secret_parameters: frozenset[str] = frozenset()
    """Query parameters that carry keys."""
    secret_headers: frozenset[str] = frozenset()
    """Request fields, lower case, that carry keys (cut off or forwarded as above)."""
    private_headers: frozenset[str] = frozenset()
    """Request fields whose presence makes a request private."""
    private_parameters: frozenset[str] = frozenset()
    """Query parameters whose presence makes a request private."""
    limits: tuple[Limit, ...] = ()
    unmatched_cost: Cost = Cost()
    deadline: float = 8.0
    timeout: float = 8.0
    connect_timeout: float = 3.0
    max_waiting: int = 1000
    """Most requests that wait for quota at once; one more is told so (503)."""
    retry_after_max: float = 60.0
    body_checks: tuple[BodyCheck, ...] = ()
    usage: tuple[Usage, ...] = ()
    usage_from: UsageFrom | None = None
    hold: Hold = Hold()
    when_ledger_lost: str = "share"
    """`share` or `refuse`."""
    outbound_proxy: str | None = None
    tls_ca: str | None = None
    user_agent: str = "quota-proxy"
    error_body: str = ""
    """Members the provider's SDKs read in our own problems: `binance`, `coingecko`, …; or none."""
    warm: tuple[str, ...] = ()
    """Paths, with their queries and without the prefix, whose answers are fetched at the start and
    kept fresh, where quota is to spare."""
    rewrite_links: bool = False
    """Absolute upstream URLs in bodies become the proxy's own, keys taken out (CryptoPanic)."""
    keys_in_fields: frozenset[str] = field(init=False, compare=False, repr=False)
    """Fields that carry a key, the proxy's own among them; lower case."""
    keys_in_query: frozenset[str] = field(init=False, compare=False, repr=False)
    """Query parameters that carry a key, likewise: providers that do not mind case are met with
    keys in any."""
    heeded: frozenset[str] = field(init=False, compare=False, repr=False)
    """All request fields (lower case) that could change what is asked of it, or for whom."""
    telling: frozenset[int] = field(init=False, compare=False, repr=False)
    """Statuses of answers that may hold us off, or have an error hidden in them."""
    counts_in_body: bool = field(init=False, compare=False, repr=False)
    """It tells usage in the bodies of its answers."""

    def __post_init__(self) -> None:
        header, query = self.credentials.header, self.credentials.query
        in_fields = self.secret_headers | ({header.lower()} if header is not None else set())
        in_query = {*self.secret_parameters, *(() if query is None else (query,))}
        rules = (*self.endpoints, *((self.unmatched,) if self.unmatched else ()))
        keyed = {name for rule in rules for name in rule.headers}
        heeded = MARKS | PATIENCE | self.private_headers | in_fields | keyed
        heeded |= {"accept", *DESCRIBE_BODY}
        object.__setattr__(self, "keys_in_fields", in_fields)
        object.__setattr__(self, "keys_in_query", frozenset(map(str.lower, in_query)))
        object.__setattr__(self, "heeded", heeded)
        blocked = {status for status, _, _ in self.hold.blocked_statuses}
        checked = {status for check in self.body_checks for status in check.statuses}
        object.__setattr__(self, "telling", self.hold.statuses | blocked | checked)
        object.__setattr__(self, "counts_in_body", any(each.body for each in self.usage))
