"""coturn's configuration with this relay's secret and the operator's addresses filled in."""

from __future__ import annotations

from ipaddress import IPv4Address
from pathlib import Path


def template() -> str:
    """coturn.conf of this version."""
    package = Path(__file__).parent
    installed = package / "coturn.conf"  # where the wheel puts it; in a checkout it is beside the package
    return (installed if installed.exists() else package.parent / "coturn.conf").read_text()


def filled(text: str, *, secret: str, public: IPv4Address, private: IPv4Address | None = None) -> str:
    """`text` with its `#@name=` lines replaced. `private`: the machine's own address, when `public` is translated to it (NAT)."""
    own = private or public
    values = {
        "listening-ip": [str(own)],
        "relay-ip": [str(own)],
        "external-ip": [f"{public}/{private}"] if private else [],
        "allowed-peer-ip": sorted({str(own), str(public)}),
        "static-auth-secret": [secret],
    }
    lines: list[str] = []
    for line in text.splitlines():
        name = line.removeprefix("#@").removesuffix("=")
        lines += [f"{name}={value}" for value in values.pop(name)] if line.startswith("#@") else [line]
    if values:
        raise ValueError(f"coturn.conf has no place for {', '.join(values)}")
    return "\n".join(lines) + "\n"
