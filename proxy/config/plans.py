"""Plans: which of a provider's plans is in force, with its base URL, key and limits.

`auto` is the first plan whose key is set, else the first that needs none, else the first. A plan
that needs a key and has none disables the upstream: nothing is sent until it is there.
"""

from dataclasses import dataclass

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
    base_url_path: Path
    credentials: Credentials
    limits: tuple[Limit, ...]
    disabled: str = ""


def chosen(validated: Validated[UpstreamFile], file: UpstreamFile) -> Chosen:
    """Choose the plan; the others are checked too."""
    common = _limits(validated, file.limits, ("limits",))
    own = _credentials(validated, file.credentials, ("credentials",), required=False)
    plans = {
        name: _plan(validated, file, name, plan, common, own) for name, plan in file.plans.items()
    }
    if not file.plans:
        if file.plan is not None and not validated.written("plans"):
            validated.complain(("plan",), "there are no `plans` to choose from")
        return _with_need(Chosen("", file.base_url, ("base_url",), own, tuple(common.values())))
    name = file.plan or AUTO
    if name != AUTO and name not in plans:
        if name not in validated.written("plans"):
            allowed = ", ".join([AUTO, *plans])
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
    return Chosen(
        plan.name, plan.base_url, plan.base_url_path, key, plan.limits, f"{where}: {what}"
    )


def _plan(
    validated: Validated[UpstreamFile],
    file: UpstreamFile,
    name: str,
    plan: PlanFile,
    common: dict[str, Limit],
    own: Credentials,
) -> Chosen:
    path: Path = ("plans", name)
    where: Path
    if name == AUTO:
        validated.complain(path, "no plan can be called auto: that chooses among them", of_key=True)
    limits = common | _limits(validated, plan.limits, (*path, "limits"))
    credentials = own
    if plan.credentials is not None:
        where = (*path, "credentials")
        credentials = _credentials(validated, plan.credentials, where, required=True)
    url, where = file.base_url, ("base_url",)
    if plan.base_url is not None:
        url, where = plan.base_url, (*path, "base_url")
    return Chosen(name, url, where, credentials, tuple(limits.values()))


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
