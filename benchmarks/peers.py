"""Starts the caches that we are compared with, as well configured as we know how.

Each is a context manager that yields the peer's origin, or None where it is not installed. Its
configuration is written to a temporary directory; it runs on `SERVER_CPU` as one process that does
the work, and ends with the context.

All of them: the provider's own caching fields are put aside and the `rules` hold instead; requests
for what is being fetched wait for it; a stale answer stands in where the provider fails or
refuses; connections to the provider are kept open; nothing is logged.
"""

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from stage import SERVER_CPU, Served, await_answer, free_port, running

PROBE = "/_peer"
"""Answered by the peer itself, so that nothing reaches the provider before the load does."""
KEPT = 3600
"""Seconds that a stale answer is kept to stand in for a failure."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How long answers under one path are fresh, in seconds; paths without a rule are not kept."""

    path: str
    """Exactly this one; all below it where it ends in a slash."""
    ttl: float
    grace: float = 0.0
    """How long it may be served beyond that while it is refreshed (Varnish; others know no end)."""
    by: str = ""
    """Query parameter that chooses among `ttls`; `ttl` where it chooses none."""
    ttls: Mapping[str, float] = field(default_factory=dict)

    def lifetimes(self) -> Iterator[tuple[str, float]]:
        """Yield regular expressions of path and query with their TTL, the more particular first."""
        path = f"^{re.escape(self.path)}"
        for value, ttl in self.ttls.items():
            yield rf"{path}[^?]*\?(.*&)?{self.by}={value}(&|$)", ttl
        yield path + ("" if self.path.endswith("/") else r"(\?|$)"), self.ttl


EVERYTHING = (Rule("/", 3600.0),)


# ── nginx ──


@contextlib.contextmanager
def nginx(
    upstream: str,
    port: int = 0,
    *,
    open_file_cache: bool = True,
    sendfile: bool = True,
    rules: Iterable[Rule] = EVERYTHING,
) -> Iterator[Served | None]:
    """Run nginx with `proxy_cache`, `proxy_cache_lock` and `proxy_cache_use_stale`.

    `background_update` is off: it would serve any age to a key that is asked for seldom, and has
    no bound of its own. Its TTLs are whole seconds.
    """
    if shutil.which("nginx") is None:
        yield None
        return
    port = port or free_port()
    with tempfile.TemporaryDirectory() as folder:
        files = (open_file_cache, sendfile)
        text = _nginx_text(Path(folder), urlsplit(upstream).netloc, port, files, tuple(rules))
        path = Path(folder, "nginx.conf")
        path.write_text(text)
        with running(["nginx", "-p", folder, "-c", str(path)], cpu=SERVER_CPU) as child:
            yield _awaited(port, child.pid)


def _nginx_text(
    folder: Path, netloc: str, port: int, files: tuple[bool, bool], rules: tuple[Rule, ...]
) -> str:
    open_file_cache, sendfile = files
    return f"""
daemon off;
worker_processes 1;
{"user root;" if os.geteuid() == 0 else ""}
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  sendfile {"on" if sendfile else "off"};
  tcp_nopush on;
  tcp_nodelay on;
  keepalive_requests 100000000;
  {"open_file_cache max=10000 inactive=10m;" if open_file_cache else ""}
  client_body_temp_path {folder}/body;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  proxy_temp_path {folder}/temp;
  proxy_cache_path {folder}/cache levels=1:2 keys_zone=peer:64m max_size=1g inactive=60m
                   use_temp_path=off;
  upstream provider {{ server {netloc}; keepalive 64; keepalive_requests 100000000; }}
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_ignore_headers Cache-Control Expires Set-Cookie Vary X-Accel-Expires;
  proxy_cache_key $request_uri;
  proxy_cache_lock on;
  proxy_cache_lock_timeout 10s;
  proxy_cache_lock_age 10s;
  proxy_cache_use_stale error timeout invalid_header updating
                        http_500 http_502 http_503 http_504 http_429;
  add_header X-Cache $upstream_cache_status always;
  server {{
    listen 127.0.0.1:{port} backlog=1024 reuseport;
    location = {PROBE} {{ return 200; }}
    location / {{ proxy_pass http://provider; }}
    {"".join(_nginx_locations(rules))}
  }}
}}
"""


def _nginx_locations(rules: tuple[Rule, ...]) -> Iterator[str]:
    """Yield a location for each rule; a TTL by parameter goes by an internal one for each TTL."""
    lifetimes = {round(ttl) for rule in rules for ttl in rule.ttls.values()}
    for ttl in sorted(lifetimes):
        yield (
            f"location /_ttl{ttl}/ {{ internal; rewrite ^/_ttl{ttl}(/.*)$ $1 break;"
            f" proxy_cache peer; proxy_cache_valid 200 {ttl}s; proxy_pass http://provider; }}\n"
        )
    for rule in rules:
        match = rule.path if rule.path.endswith("/") else f"= {rule.path}"
        if match == "/":
            match = "~ ^/"
        chosen = "".join(
            f"if ($arg_{rule.by} = {value}) {{ rewrite ^ /_ttl{round(ttl)}$uri last; }} "
            for value, ttl in rule.ttls.items()
        )
        yield (
            f"location {match} {{ {chosen}proxy_cache peer;"
            f" proxy_cache_valid 200 {max(1, round(rule.ttl))}s; proxy_pass http://provider; }}\n"
        )


# ── Varnish ──


@contextlib.contextmanager
def varnish(
    upstream: str, port: int = 0, *, rules: Iterable[Rule] = EVERYTHING
) -> Iterator[Served | None]:
    """Run Varnish with each rule's grace, and what is kept longer for a provider that fails.

    Then the request is started over and meets the stale object; the fetch that Varnish would begin
    behind it is abandoned, and one that meets nothing gets the refusal: no second call is made.
    """
    if shutil.which("varnishd") is None or shutil.which("cc") is None:
        yield None
        return
    port = port or free_port()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "peer.vcl")
        path.write_text(_varnish_text(upstream, tuple(rules)))
        command = [
            "varnishd", "-F", "-j", "none", "-n", f"{folder}/work", "-f", str(path),
            "-a", f"127.0.0.1:{port}", "-s", "malloc,256m", "-p", "listen_depth=1024",
        ]  # fmt: skip
        with running(command, cpu=SERVER_CPU) as child:
            yield _awaited(port, child.pid)


def _varnish_text(upstream: str, rules: tuple[Rule, ...]) -> str:
    parts = urlsplit(upstream)
    graces = _chain(
        "req.url",
        ((list(each.lifetimes())[-1][0], f"set req.grace = {each.grace:.3f}s;") for each in rules),
    )
    lives = [
        (pattern, f"set beresp.ttl = {ttl:.3f}s;")
        for rule in rules
        for pattern, ttl in rule.lifetimes()
    ]
    return f"""
vcl 4.1;
backend provider {{ .host = "{parts.hostname}"; .port = "{parts.port}"; }}
sub vcl_recv {{
  if (req.url == "{PROBE}") {{ return (synth(200)); }}
  if (req.method != "GET" && req.method != "HEAD") {{ return (pass); }}
  if (req.restarts == 0) {{
    unset req.http.X-Fell-Back;
    set req.grace = 0s;
    {graces}
  }}
  return (hash);
}}
sub vcl_miss {{
  if (req.http.X-Fell-Back) {{ return (synth(429)); }}
}}
sub vcl_backend_fetch {{
  if (bereq.is_bgfetch && bereq.http.X-Fell-Back) {{ return (abandon); }}
}}
sub vcl_backend_response {{
  if (beresp.status != 200) {{
    if (bereq.is_bgfetch) {{ return (abandon); }}
    set beresp.ttl = 0s;
    set beresp.uncacheable = true;
    return (deliver);
  }}
  set beresp.ttl = 0s;
  set beresp.grace = {KEPT}s;
  unset beresp.http.Set-Cookie;
  unset beresp.http.Vary;
  {_chain("bereq.url", lives)}
  return (deliver);
}}
sub vcl_deliver {{
  if (req.restarts == 0 && (resp.status == 429 || resp.status == 418 || resp.status >= 500)) {{
    set req.http.X-Fell-Back = "1";
    set req.grace = {KEPT}s;
    return (restart);
  }}
}}
"""


def _chain(subject: str, cases: Iterable[tuple[str, str]]) -> str:
    """Return VCL that does what stands beside the first expression that matches."""
    return " els".join(f'if ({subject} ~ "{pattern}") {{ {done} }}' for pattern, done in cases)


# ── HAProxy ──


@contextlib.contextmanager
def haproxy(
    upstream: str, port: int = 0, *, rules: Iterable[Rule] = EVERYTHING
) -> Iterator[Served | None]:
    """Run HAProxy with its cache in memory; it neither coalesces requests nor serves stale."""
    if shutil.which("haproxy") is None:
        yield None
        return
    port = port or free_port()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "haproxy.cfg")
        path.write_text(_haproxy_text(urlsplit(upstream).netloc, port, tuple(rules)))
        with running(["haproxy", "-db", "-f", str(path)], cpu=SERVER_CPU) as child:
            yield _awaited(port, child.pid)


def _haproxy_text(netloc: str, port: int, rules: tuple[Rule, ...]) -> str:
    lives = "\n".join(
        f"  http-request set-var(txn.ttl) int({max(1, round(ttl))}) if {{ url -m reg {pattern} }}"
        f" !{{ var(txn.ttl) -m found }}"
        for rule in rules
        for pattern, ttl in rule.lifetimes()
    ).replace("\\", "\\\\")
    return f"""
global
  maxconn 8192
  nbthread 1
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  http-reuse always
cache peer
  total-max-size 256
  max-object-size 1000000
  max-age 86400
  process-vary off
frontend traffic
  bind 127.0.0.1:{port} backlog 1024
  http-request return status 200 if {{ path {PROBE} }}
{lives}
  http-request cache-use peer if {{ var(txn.ttl) -m found }}
  http-response del-header Pragma
  http-response del-header Expires
  http-response del-header Vary
  http-response set-header Cache-Control max-age=%[var(txn.ttl)] if {{ var(txn.ttl) -m found }}
  http-response cache-store peer if {{ var(txn.ttl) -m found }}
  default_backend provider
backend provider
  server provider {netloc}
"""


# ── Traffic Server ──


@contextlib.contextmanager
def trafficserver(
    upstream: str, port: int = 0, *, rules: Iterable[Rule] = EVERYTHING
) -> Iterator[Served | None]:
    """Run Apache Traffic Server with its cache in memory before a small file on disk."""
    if shutil.which("traffic_server") is None:
        yield None
        return
    port = port or free_port()
    with tempfile.TemporaryDirectory() as folder:
        environ = _trafficserver_files(Path(folder), upstream, port, tuple(rules))
        with running([shutil.which("traffic_server") or ""], environ, cpu=SERVER_CPU) as child:
            yield _awaited(port, child.pid)


def _trafficserver_files(
    folder: Path, upstream: str, port: int, rules: tuple[Rule, ...]
) -> dict[str, str]:
    """Write its configuration; return the variables that make it read that."""
    for name in ("etc", "run", "log", "cache"):
        Path(folder, name).mkdir()
    origin = f"http://127.0.0.1:{port}"
    lives = [  # of those that match, the last one rules
        f"url_regex={pattern.replace('^', f'^{upstream}', 1)} ttl-in-cache={max(1, round(ttl))}s"
        for rule in reversed(rules)
        for pattern, ttl in reversed(list(rule.lifetimes()))
    ]
    files = {
        "remap.config": f"map {origin}/ {upstream}/\n",
        "cache.config": "\n".join(lives) + "\n",
        "storage.config": f"{folder}/cache 256M\n",
        "ip_allow.yaml": "ip_allow:\n  - {apply: in, ip_addrs: 0/0, action: allow, methods: ALL}\n",
        "records.config": "\n".join(
            f"CONFIG proxy.config.{name}"
            for name in (
                f"http.server_ports STRING {port}:ip-in=127.0.0.1",
                "exec_thread.autoconfig INT 0",
                "exec_thread.limit INT 1",
                "http.cache.required_headers INT 0",
                "http.cache.ignore_client_cc_max_age INT 1",
                "http.cache.ignore_server_no_cache INT 1",
                "http.cache.open_write_fail_action INT 5",
                "http.cache.open_read_retry_time INT 10",
                "http.cache.max_open_read_retries INT 500",
                "cache.enable_read_while_writer INT 1",
                "cache.ram_cache.size INT 268435456",
                "url_remap.pristine_host_hdr INT 0",
                "http.insert_response_via_str INT 0",
                "log.logging_enabled INT 0",
                "bin_path STRING /usr/bin",
                f"local_state_dir STRING {folder}/run",
                f"log.logfile_dir STRING {folder}/log",
                f"admin.user_id STRING {'#-1' if os.geteuid() else 'nobody'}",
            )
        )
        + "\n",
    }
    for name, text in files.items():
        Path(folder, "etc", name).write_text(text)
    layout = {
        "prefix": "/usr", "bindir": "/usr/bin", "libdir": "/usr/lib/trafficserver",
        "plugindir": "/usr/lib/trafficserver/modules", "sysconfdir": f"{folder}/etc",
        "localstatedir": f"{folder}/run", "runtimedir": f"{folder}/run",
        "logdir": f"{folder}/log", "cachedir": f"{folder}/cache",
    }  # fmt: skip
    for each in (folder, *folder.iterdir()):
        each.chmod(0o777)  # it refuses to be root, and becomes nobody where it was
    root = Path(folder, "runroot.yaml")
    root.write_text("".join(f"{name}: {value}\n" for name, value in layout.items()))
    return {"TS_RUNROOT": str(root)}


def _awaited(port: int, pid: int) -> Served:
    origin = f"http://127.0.0.1:{port}"
    await_answer(origin + PROBE)
    return Served(origin, pid)
