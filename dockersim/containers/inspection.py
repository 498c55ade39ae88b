"""What ``docker inspect`` shows of a container."""

from __future__ import annotations

from typing import Any, Final

from dockersim.containers.ports import Publish
from dockersim.containers.record import Container, Record

NEVER: Final = "0001-01-01T00:00:00Z"
"""Go's zero time: what has not happened yet."""


def inspect(container: Container, log_path: str) -> dict[str, Any]:
    """Return the document, with docker's keys in docker's order, as far as we have what they tell."""
    record, state = container.record, container.state
    return {
        "Id": record.id,
        "Created": record.created,
        "Path": record.argv[0],
        "Args": list(record.argv[1:]),
        "State": {
            "Status": state.status,
            "Running": state.running,
            "Paused": False,
            "Restarting": False,
            "OOMKilled": False,
            "Dead": False,
            "Pid": state.pid,
            "ExitCode": state.exit_code,
            "Error": state.error,
            "StartedAt": state.started or NEVER,
            "FinishedAt": state.finished or NEVER,
        },
        "Image": record.image_id,
        "LogPath": log_path,
        "Name": f"/{record.name}",
        "RestartCount": 0,
        "Platform": "linux",
        "HostConfig": {
            "LogConfig": {"Type": "json-file", "Config": {}},
            "NetworkMode": record.network,
            "PortBindings": _bindings(record.publish),
            "AutoRemove": record.remove,
        },
        "Config": _config(record),
        "NetworkSettings": _network(container),
    }


def _config(record: Record) -> dict[str, Any]:
    return {
        "Hostname": record.hostname,
        "User": record.user,
        "ExposedPorts": {port: {} for port in record.exposed},
        "Tty": record.terminal,
        "OpenStdin": record.interactive,
        "Env": [f"{name}={value}" for name, value in record.env.items()],
        "Cmd": list(record.cmd) or None,
        "Image": record.image,
        "WorkingDir": record.directory,
        "Entrypoint": list(record.entrypoint) or None,
        "Labels": dict(record.labels),
        "StopSignal": record.stop_signal,
    }


def _network(container: Container) -> dict[str, Any]:
    running = container.state.running
    address, _, length = container.record.address.partition("/") if running else ("", "", "")
    unpublished: dict[str, Any] = dict.fromkeys(container.exposed) if running else {}
    return {
        "Ports": dict(sorted({**unpublished, **_bindings(container.ports)}.items())),
        "IPAddress": address,
        "IPPrefixLen": int(length or 0),
        "Networks": {container.record.network: {"IPAddress": address, "IPPrefixLen": int(length or 0)}},
    }


def _bindings(publish: tuple[Publish, ...]) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = {}
    for one in publish:
        port = str(one.host_port) if one.host_port else ""
        found.setdefault(one.private, []).append({"HostIp": one.host_ip, "HostPort": port})
    return found
