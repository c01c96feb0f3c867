"""Plans: which of a provider's plans is in force, with its base URL, key and limits.

`auto` is the first plan whose key is set, else the first that needs none, else the first. A plan
that needs a key and has none disables the upstream: nothing is sent until it is there.
"""

from dataclasses import dataclass, replace

from proxy.config.addresses import parse_base_url
from proxy.config.limits import limit
from proxy.config.problems import Path
from proxy.config.schema_upstream import CredentialsFile, LimitFile, PlanFile, UpstreamFile
from proxy.config.validation import Validated
from proxy.core.upstreams import Credentials, Limit

AUTO = "auto"


@dataclass(frozen=True, slots=True)
class Chosen:
    """The plan in force. Without plans: what the upstream itself says."""

    name: str
    base_url: str
    credentials: Credentials
    limits: tuple[Limit, ...]
    disabled: str = ""


def chosen(validated: Validated[UpstreamFile], file: UpstreamFile) -> Chosen:
    """Choose the plan; the others are checked too."""
    common = _limits(validated, file.limits, ("limits",))
    own = _credentials(validated, file.credentials, ("credentials",), required=False)
    base_url = _base_url(validated, file.base_url, ("base_url",))
    without = Chosen("", base_url, own, tuple(common.values()))
    plans = {name: _plan(validated, name, plan, without) for name, plan in file.plans.items()}
    if not file.plans:
        if file.plan is not None and not validated.written("plans"):
            validated.complain(("plan",), "there are no `plans` to choose from")
        return _with_need(without)
    name = file.plan or AUTO
    if name != AUTO and name not in plans:
        if name not in validated.written("plans"):
            allowed = ", ".join([AUTO, *(each for each in plans if each != AUTO)])
            validated.complain(("plan",), f"there is no such plan; allowed: {allowed}")
        name = AUTO
    return _with_need(_automatic(plans) if name == AUTO else plans[name])


def _automatic(plans: dict[str, Chosen]) -> Chosen:
    keyed = [plan for plan in plans.values() if plan.credentials.value]
    keyless = [plan for plan in plans.values() if not plan.credentials.required]
    return (keyed or keyless or list(plans.values()))[0]


def _with_need(plan: Chosen) -> Chosen:
    key = plan.credentials
    if not key.required or key.value:
        return plan
    what = f"set {key.variable}" if key.variable else "its credentials have no value"
    where = f"plan {plan.name} needs a key" if plan.name else "needs a key"
    return replace(plan, disabled=f"{where}: {what}")


def _plan(validated: Validated[UpstreamFile], name: str, plan: PlanFile, without: Chosen) -> Chosen:
    """Return a plan: what it does not say is as it is `without` plans."""
    path: Path = ("plans", name)
    if name == AUTO:
        validated.complain(path, "no plan can be called auto: that chooses among them", of_key=True)
    common = {limit.name: limit for limit in without.limits}
    limits = common | _limits(validated, plan.limits, (*path, "limits"))
    base_url, credentials = without.base_url, without.credentials
    if plan.base_url is not None:
        base_url = _base_url(validated, plan.base_url, (*path, "base_url"))
    if plan.credentials is not None:
        where = (*path, "credentials")
        credentials = _credentials(validated, plan.credentials, where, required=True)
    return Chosen(name, base_url, credentials, tuple(limits.values()))


def _base_url(validated: Validated[UpstreamFile], text: str, path: Path) -> str:
    try:
        return parse_base_url(text)
    except ValueError as error:
        validated.complain(path, str(error))
        return text


def _limits(
    validated: Validated[UpstreamFile], files: dict[str, LimitFile], path: Path
) -> dict[str, Limit]:
    return {
        name: limit(name, file, (*path, name), validated.complain) for name, file in files.items()
    }


def _credentials(
    validated: Validated[UpstreamFile],
    file: CredentialsFile | None,
    path: Path,
    *,
    required: bool,
) -> Credentials:
    if file is None:
        return Credentials()
    if (file.header is None) == (file.query is None):
        validated.complain(path, "say either `header` or `query`: what carries the key")
    variables = validated.document.variables.get((*path, "value"), ())
    return Credentials(
        header=file.header,
        query=file.query,
        value=file.value,
        variable=variables[0] if variables else "",
        required=required if file.required is None else file.required,
    )
