"""Which service a request goes to, by the ingress rules that cloudflared publishes.

Rules from top to bottom, the first that matches; a host name
is exact or begins with *., a path is a regular expression found anywhere in the request's path; the last rule must match everything."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any


class BadIngress(Exception):
    """cloudflared would not start with these rules."""


def validate(rules: Sequence[dict[str, Any]]) -> None:
    """Raises BadIngress."""
    if not rules:
        raise BadIngress("no rules")
    for number, rule in enumerate(rules):
        host, path = rule.get("hostname", ""), rule.get("path", "")
        if not re.fullmatch(r"https?://[^/]+|unix:.+|tcp://.+|http_status:\d{3}", rule.get("service", "")):
            raise BadIngress(f"rule {number} has no service")
        if host.count("*") and not re.fullmatch(r"\*(?:\.[^*]+)?", host):
            raise BadIngress(f"rule {number}: a wildcard stands at the beginning")
        if ":" in host:
            raise BadIngress(f"rule {number}: a host name has no port")
        re.compile(path)
        everything = host in ("", "*") and not path
        if everything is not (number == len(rules) - 1):
            raise BadIngress(f"rule {number}: the last rule, and no other, matches everything")


def service_for(rules: Sequence[dict[str, Any]], hostname: str, path: str) -> str:
    """The service of the first rule that matches. `hostname` may have a port, which does not count."""
    host = hostname.partition(":")[0]
    for rule in rules:
        wanted = rule.get("hostname", "")
        fits = host.endswith(wanted[1:]) if wanted.startswith("*.") else wanted in ("", "*", host)
        if fits and re.search(rule.get("path", ""), path):
            return str(rule["service"])
    raise BadIngress("nothing matches")
