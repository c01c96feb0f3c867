"""`load`: a configuration from its files, or everything that is wrong with it.

Nothing is done by halves: each file is read once, and each error found in one go, in all files.
"""

import dataclasses
import glob
from collections.abc import Mapping, Sequence
from pathlib import Path as FilePath

from proxy.config.agreement import (
    Part,
    check_clients,
    check_listeners,
    check_upstreams,
    own_listeners,
    warnings,
)
from proxy.config.environment import parse_dotenv
from proxy.config.installation import Installation
from proxy.config.problems import ConfigurationError, Problem
from proxy.config.schema import ProxyFile
from proxy.config.schema_upstream import UpstreamFile
from proxy.config.settings import LogSettings, Settings
from proxy.config.upstreams import upstream
from proxy.config.validation import Validated
from proxy.config.yaml_nodes import Document, parse


def load(path: FilePath | str, environ: Mapping[str, str]) -> Settings:
    """Read `proxy.yaml` at `path`, the upstreams' files that it names, and a `.env` beside it.

    `environ` is the environment; what it holds wins over `.env`.

    Raises:
        ConfigurationError: something is wrong; it holds every problem there is.

    """
    file = FilePath(path)
    dotenv, problems = _dotenv(file.parent / ".env")
    known = {**dotenv, **environ}
    main = Validated(_document(file, known), ProxyFile)
    files = _upstream_files(main, file.parent) if main.model else ()
    validated = [_upstream_file(each, known) for each in files]
    made = [(each, upstream(each, FilePath(each.document.file).parent)) for each in validated]
    parts = [(each, found) for each, found in made if found is not None]
    settings = None
    if main.model is not None:
        settings = _settings(main, main.model, parts, (file, *files))
    problems += main.problems
    problems += [problem for each in validated for problem in each.problems]
    if settings is None or problems:
        raise ConfigurationError(problems)
    return settings


def _settings(
    main: Validated[ProxyFile],
    file: ProxyFile,
    parts: Sequence[Part],
    files: tuple[FilePath, ...],
) -> Settings:
    installation = Installation(main, file, files[0].parent)
    check_upstreams(parts)
    settings = Settings(
        file=files[0],
        files=files,
        listeners=(*installation.listeners(), *own_listeners(parts)),
        admin=installation.admin(),
        store=installation.store(),
        ledger=installation.ledger(),
        upstreams=tuple(each for _, each in parts),
        clients=installation.clients(),
        memory=file.memory,
        fleet_size=file.fleet_size or 1,
        accelerator=file.accelerator,
        secret=file.secret or "",
        record=FilePath(file.record) if file.record else None,
        log=LogSettings(file.log.level, file.log.format),
    )
    check_listeners(main, parts, settings)
    check_clients(main, settings)
    return dataclasses.replace(settings, warnings=tuple(warnings(main, parts, settings)))


def _document(file: FilePath, environ: Mapping[str, str]) -> Document:
    """Read and parse a file; one that cannot be read is a document with that problem."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        return _unreadable(file, f"cannot be read: {error.strerror or 'no such file'}")
    except UnicodeDecodeError as error:
        return _unreadable(file, f"is no UTF-8 text: byte {error.start} is none of it")
    return parse(text, str(file), environ)


def _upstream_file(file: FilePath, environ: Mapping[str, str]) -> Validated[UpstreamFile]:
    stand_ins = {"name": file.stem, "base_url": "http://localhost"}
    return Validated(_document(file, environ), UpstreamFile, stand_ins)


def _unreadable(file: FilePath, why: str) -> Document:
    return Document(str(file), problems=[Problem(str(file), 1, 1, "", why)], broken={()})


def _upstream_files(main: Validated[ProxyFile], folder: FilePath) -> tuple[FilePath, ...]:
    """Return the upstreams' files, each once, in the order of the globs and of their names."""
    found: dict[FilePath, None] = {}
    for index, pattern in enumerate(main.model.upstreams if main.model else ()):
        names = sorted(glob.glob(pattern, root_dir=folder, recursive=True))  # noqa: PTH207 - root_dir
        if not names:
            main.complain(("upstreams", index), f"no file is named so in {folder.absolute()}")
        found.update((folder / name, None) for name in names)
    return tuple(found)


def _dotenv(file: FilePath) -> tuple[dict[str, str], list[Problem]]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return {}, []
    except (OSError, UnicodeDecodeError):
        return {}, [Problem(str(file), 1, 1, "", "cannot be read as UTF-8 text")]
    values, faults = parse_dotenv(text)
    return values, [Problem(str(file), line, 1, "", message) for line, message in faults]
