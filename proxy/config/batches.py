"""How requests share calls, as a file says it: `batch:` of an endpoint."""

from collections.abc import Callable
from typing import Literal

from pydantic import Field

from proxy.config.fields import Count, Flag, Name, Text, Texts
from proxy.config.schema import Strict
from proxy.core.shapes import Batch, Case, ListForm, Order
from proxy.core.upstreams import Segment


class BatchFile(Strict):
    """How requests for single members, and for lists of them, share calls."""

    list: Name | None = Field(
        default=None,
        description="Query parameter, or variable of the path, that holds the list. Without it only"
        " `all` can serve several at once.",
    )
    form: Literal["comma", "json"] = Field(
        default="comma", description="`comma`: a,b. `json`: an array of strings."
    )
    separator: Text = Field(
        default=",", description="One character, where another than a comma stands between them."
    )
    most: Count = Field(default=100, description="Members that one call takes.")
    accepts: Count | None = Field(
        default=None,
        description="Longest list that the provider takes, where that is more than is asked for in"
        " one call. A longer one passes as it came.",
    )
    single: Name | None = Field(
        default=None,
        description="Parameter that asks for one member, answered by the member bare.",
    )
    at: Text | None = Field(default=None, description="Name under which the reply holds them.")
    array: Text | None = Field(
        default=None,
        description="The members are an array: where each names itself, dotted. Without it they are"
        " an object by name.",
    )
    several: Flag = Field(default=False, description="The array may hold several for one member.")
    all: Flag = Field(
        default=False, description="Leaving the parameter out asks for all, where that is cheaper."
    )
    order: Literal["asked", "sorted"] = Field(
        default="asked", description="In which order the provider answers."
    )
    ranked: Text | None = Field(
        default=None,
        description="Figure of an element, dotted, by which they are ranked downwards.",
    )
    case: Literal["exact", "lower", "upper", "hex"] = Field(
        default="exact",
        description="Spellings that name one member. `hex`: 0x… in any case, all others exactly.",
    )
    unique: Flag = Field(
        default=False,
        description="The provider refuses a list that names a member twice: it passes as it came.",
    )
    riders: Flag = Field(
        default=True,
        description="A call takes along members that were used lately and are half way through"
        " their TTL, where that costs no more.",
    )
    unless: Texts = Field(
        default=(), description="Query parameters whose presence leaves a request as it came."
    )


def made(
    file: BatchFile, segments: tuple[Segment, ...], complain: Callable[[str, str], None]
) -> Batch | None:
    """Return the batch that a file means; what it lacks is told to `complain(key, message)`."""
    if file.list is None and not (file.single and file.all):
        complain("list", "names no list: say `list`, or `single` and `all: true`")
        return None
    if file.single is not None and file.array is None:
        complain("array", "where one member is answered bare, say how members of an array are told")
        return None
    if file.accepts is not None and file.accepts < file.most:
        complain("accepts", f"is less than `most`, which is {file.most}")
        return None
    if not _parts(file.separator):
        complain("separator", "must be one character that parts a list, as `,` or `;` or `|`")
        return None
    if file.form == "json" and file.separator != ",":
        complain("separator", "stands in no JSON: leave it out, or say `form: comma`")
        return None
    variables = {segment.text for segment in segments if segment.kind == "variable"}
    return Batch(
        parameter=file.list or "",
        in_path=file.list in variables,
        form=ListForm(file.form),
        separator=file.separator,
        most=file.most,
        accepts=file.accepts or file.most,
        single=file.single or "",
        at=file.at or "",
        field=tuple(file.array.split(".")) if file.array else (),
        several=file.several,
        all=file.all,
        order=Order(file.order),
        ranked=tuple(file.ranked.split(".")) if file.ranked else (),
        case=Case(file.case),
        unique=file.unique,
        riders=file.riders,
        unless=frozenset(file.unless),
    )


def _parts(separator: str) -> bool:
    """Whether a text can stand between members, in a query and in a path."""
    plain = separator.isprintable() and not separator.isalnum()
    return len(separator) == 1 and plain and separator not in "/&=%?#"
