"""The command line. Heavy imports stand inside the commands: `--help` must not pay for them."""

import gc
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import BinaryIO

    from proxy.config.settings import Settings
    from proxy.remote import Admin

_T = TypeVar("_T")

DEFAULT_CONFIG = "config/proxy.yaml"

config_option = click.option(
    "--config",
    type=click.Path(path_type=Path),
    default=DEFAULT_CONFIG,
    envvar="QUOTA_PROXY_CONFIG",
    show_default=True,
    show_envvar=True,
    help="The configuration's main file.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="quota-proxy", prog_name="quota-proxy")
def main() -> None:
    """Cache rate-limited APIs, and never spend more of a quota than there is."""


@main.command()
@config_option
@click.option("--workers", type=click.IntRange(1, 256), default=1, show_default=True)
def serve(config: Path, workers: int) -> None:
    """Run the proxy."""
    gc.disable()  # until all that stays is there: it makes the start a tenth shorter
    from proxy import app  # noqa: PLC0415 - heavy
    from proxy import workers as supervision  # noqa: PLC0415 - heavy

    settings = _load(config)
    if workers == 1:
        sys.exit(app.run(settings))
    gc.enable()
    sys.exit(supervision.supervise(settings, config, workers))


@main.command()
@config_option
def check(config: Path) -> None:
    """Validate the configuration; show every error with its line."""
    settings = _load(config)
    for warning in settings.warnings:
        click.echo(f"{warning} (warning)", err=True)
    endpoints = sum(len(upstream.endpoints) for upstream in settings.upstreams)
    click.echo(f"{config}: {len(settings.upstreams)} upstreams, {endpoints} endpoints, no error")
    for upstream in settings.upstreams:
        state = upstream.disabled or "enabled"
        plan = f" ({upstream.plan})" if upstream.plan else ""
        click.echo(f"  {upstream.name}{plan}: {len(upstream.endpoints)} endpoints, {state}")


@main.command()
@click.argument("url")
@config_option
@click.option("--method", default="GET", show_default=True)
@click.option("--header", "headers", multiple=True, metavar="NAME:VALUE", help="May be repeated.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def explain(url: str, config: Path, method: str, headers: tuple[str, ...], as_json: bool) -> None:  # noqa: FBT001 - click passes flags so
    """Say which rule URL meets, its key, lifetimes, cost and limits. Nothing is sent.

    URL is a path as a bot asks for it (/coingecko/api/v3/ping), or a whole address.
    """
    from proxy import explain as explanations  # noqa: PLC0415 - heavy
    from proxy.core.routing import Routes  # noqa: PLC0415 - heavy

    fields = tuple(_header(header) for header in headers)
    settings = _load(config)
    try:
        request = explanations.asking(url, method.upper(), fields)
    except ValueError as error:
        raise click.BadParameter(f"{url!r} is no URL: {error}", param_hint="URL") from None
    explained = explanations.explain(Routes(settings.upstreams), request)
    click.echo(json.dumps(explained, indent=2) if as_json else explanations.as_text(explained))
    sys.exit(0 if explained["met"] else 1)


@main.command()
@click.argument("trace", type=click.File("rb"))
@config_option
@click.option(
    "--ttl",
    "ttls",
    multiple=True,
    metavar="UPSTREAM.ENDPOINT=VALUE",
    help="Try another TTL, as in coingecko.price=2m. May be repeated.",
)
@click.option(
    "--takes",
    default="200ms",
    show_default=True,
    metavar="DURATION",
    help="How long a provider takes to answer: what is asked meanwhile shares calls.",
)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def plan(
    trace: "BinaryIO",
    config: Path,
    ttls: tuple[str, ...],
    takes: str,
    as_json: bool,  # noqa: FBT001 - click passes flags so
) -> None:
    """Replay recorded traffic against the configuration. Nothing is sent.

    TRACE is what `record: FILE` in proxy.yaml has written.
    """
    from proxy.planning import replay, reports  # noqa: PLC0415 - heavy

    upstreams = _load(config).upstreams
    try:
        lines = tuple(replay.read(trace))
        changes = dict(_ttl(text) for text in ttls)
        seconds = _seconds(takes)
        made = {"configured": replay.replayed(upstreams, lines, seconds)}
        if changes:
            made["changed"] = replay.replayed(replay.changed(upstreams, changes), lines, seconds)
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        click.echo(json.dumps(made, indent=2))
        return
    for name, each in made.items():
        click.echo(f"── {name} ──\n{reports.as_text(each)}\n")


def _ttl(text: str) -> tuple[str, float]:
    name, equals, value = text.partition("=")
    if not equals:
        raise click.BadParameter(f"{text!r} is not UPSTREAM.ENDPOINT=VALUE", param_hint="--ttl")
    return name, _seconds(value)


def _seconds(text: str) -> float:
    """Read a duration as a file would: `2m`, or a number of seconds."""
    from proxy.config.scalars import duration  # noqa: PLC0415 - heavy
    from proxy.config.yaml_nodes import core_scalar  # noqa: PLC0415 - heavy

    return duration(core_scalar(text))


admin_option = click.option(
    "--admin", metavar="URL", help="The admin listener; else the configuration's own."
)


@main.group(invoke_without_command=True)
@config_option
@admin_option
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_context
def quota(context: click.Context, config: Path, admin: str | None, as_json: bool) -> None:  # noqa: FBT001 - click passes flags so
    """Show how the quotas of a running proxy stand, or set what was used already."""
    if context.invoked_subcommand is not None:
        return
    from proxy import remote  # noqa: PLC0415 - not for every command

    with _said():
        upstreams = _admin(config, admin).quota()
    click.echo(json.dumps(upstreams, indent=2) if as_json else remote.table(upstreams))


@quota.command("set")
@click.argument("limit", metavar="UPSTREAM.LIMIT")
@click.option("--used", type=click.FloatRange(0), required=True, help="What was used of it.")
@click.option("--config", type=click.Path(path_type=Path), help="As of `quota`.")
@admin_option
@click.pass_context
def set_used(
    context: click.Context, limit: str, used: float, config: Path | None, admin: str | None
) -> None:
    """Set what was used of a limit, as in coingecko.month --used 7421."""
    from proxy import remote  # noqa: PLC0415 - not for every command

    given = context.parent.params if context.parent is not None else {}
    upstream, dot, name = limit.partition(".")
    if not (upstream and dot and name):
        raise click.BadParameter(f"{limit!r} is not UPSTREAM.LIMIT", param_hint="UPSTREAM.LIMIT")
    with _said():
        asked = _admin(config or given["config"], admin or given["admin"])
        figures = asked.set_used(upstream, name, used)
    standing = {"limits": {name: figures}, "blocked_until": None}
    click.echo(remote.table({upstream: standing}))


def _admin(config: Path, url: str | None) -> "Admin":
    """Return the admin listener to ask: the one named, else the configuration's."""
    from proxy.remote import Admin, local  # noqa: PLC0415 - not for every command

    settings = _load(config).admin
    listener = settings.listener
    return Admin(url or local(listener.host, listener.port), settings.token)


@contextmanager
def _said() -> Iterator[None]:
    """Say in words what a running proxy refused."""
    from proxy.remote import RemoteError  # noqa: PLC0415 - not for every command

    try:
        yield
    except RemoteError as error:
        raise click.ClickException(str(error)) from None


@main.group()
def ledger() -> None:
    """Move what was counted from one store to another."""


@ledger.command("export")
@config_option
def export_counts(config: Path) -> None:
    """Write the counts of the configured ledger to standard output, as JSON."""
    from proxy import transfer  # noqa: PLC0415 - heavy

    settings = _quietly(config)
    try:
        click.echo(_run(transfer.exported(settings)))
    except transfer.TransferError as error:
        raise click.ClickException(str(error)) from None


@ledger.command("import")
@click.argument("file", type=click.File("rb"))
@config_option
def import_counts(file: "BinaryIO", config: Path) -> None:
    """Give the configured ledger the counts in FILE, where they are higher than its own.

    FILE is what `ledger export` wrote; - reads standard input.
    """
    from proxy import transfer  # noqa: PLC0415 - heavy

    settings = _quietly(config)
    try:
        page = transfer.read(file.read())
        unknown = _run(transfer.imported(settings, page))
    except transfer.TransferError as error:
        raise click.ClickException(str(error)) from None
    for each in unknown:
        click.echo(f"{each.upstream}.{each.bucket} is not configured: left out", err=True)
    click.echo(f"{len(page.counts) - len(unknown)} of {len(page.counts)} counts taken over")


def _quietly(config: Path) -> "Settings":
    """Load the configuration of a command whose log only disturbs."""
    from proxy import log  # noqa: PLC0415 - heavy

    log.configure("error")
    return _load(config)


@main.command()
def schema() -> None:
    """Print the JSON Schema of the configuration, which editors use for completion."""
    from proxy.config.json_schema import json_schema  # noqa: PLC0415 - heavy

    click.echo(json.dumps(json_schema(), indent=2))


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise click.BadParameter(f"{text!r} is not NAME:VALUE", param_hint="--header")
    return name.strip(), value.strip()


def _load(config: Path, environ: Mapping[str, str] = os.environ) -> "Settings":
    """Load the configuration, or show every error and leave with 1."""
    from proxy.config.loading import load  # noqa: PLC0415 - heavy
    from proxy.config.problems import ConfigurationError  # noqa: PLC0415 - heavy

    try:
        return load(config, environ)
    except ConfigurationError as error:
        for problem in error.problems:
            click.echo(str(problem), err=True)
        click.echo(f"{config}: {len(error.problems)} error(s); nothing was started", err=True)
        sys.exit(1)


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(0, 65535), default=9090, show_default=True)
@click.option("--own-ports", is_flag=True, help="Give every provider a port of its own too.")
@click.option("--latency", type=click.FloatRange(0), default=0.0, help="Mean seconds of an answer.")
def sandbox(host: str, port: int, own_ports: bool, latency: float) -> None:  # noqa: FBT001 - click passes flags so
    """Simulate the providers on loopback, with their real limits."""
    from proxy.sandbox import run_sandbox  # noqa: PLC0415 - heavy

    _run(run_sandbox(host, port, own_ports=own_ports, latency=latency))


@main.command()
@config_option
@click.option("--seconds", type=click.FloatRange(1), default=None, help="How long; else for ever.")
@click.option("--bots", type=click.IntRange(1, 1000), default=40, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
def demo(config: Path, seconds: float | None, bots: int, seed: int) -> None:
    """Run sandbox, proxy and a swarm of bots, and show what was saved. Needs no network."""
    from proxy.app import demonstrated  # noqa: PLC0415 - heavy
    from proxy.sandbox.demo import run_demo  # noqa: PLC0415 - heavy

    start = demonstrated(lambda environ: _load(config, environ))
    _run(run_demo(start, seconds=seconds, bots=bots, seed=seed))


def _run(work: "Coroutine[object, object, _T]") -> _T:
    """Run until it ends or Ctrl-C; an address that is taken is an error, not a traceback."""
    import asyncio  # noqa: PLC0415 - heavy

    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        raise click.ClickException(str(error)) from error
