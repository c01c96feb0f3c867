"""Which upstream and which endpoint a request meets."""

from proxy.core.templates import parse_template, specificity, ties

__all__ = ["parse_template", "specificity", "ties"]
