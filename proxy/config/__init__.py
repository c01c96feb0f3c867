"""The configuration: YAML in, frozen and validated values out, or every error with its line.

    yaml_nodes     YAML 1.2 core scalars with the line and column of each; duplicate keys
    environment    `${NAME}`, `${NAME:-default}`, `.env`
    scalars        durations, sizes, shares: the texts that stand for figures
    tables         TTL and cost tables -> proxy.core.tables
    schema         what may stand in proxy.yaml; schema_upstream: in an upstream's file
    validation     a document against its schema, all errors at once
    limits, endpoints, plans, upstreams    files -> proxy.core.upstreams, and what must agree
    settings       what `load` returns;  loading: `load`
    json_schema    the same schema for editors;  changes: what differs between two settings

`load(path, environ)` returns Settings or raises ConfigurationError, which holds every Problem.
"""
