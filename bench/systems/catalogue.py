"""Every system, ours first."""

from __future__ import annotations

from collections.abc import Sequence

from bench.systems import System
from bench.systems.brokers import Nats, RabbitMq
from bench.systems.ejabberd import EjabberdArchive, EjabberdOffline
from bench.systems.fastapi import FastApiGroup, FastApiNaive
from bench.systems.ours import Ours

SYSTEMS: Sequence[type[System]] = (Ours, FastApiGroup, FastApiNaive, EjabberdArchive, EjabberdOffline, Nats, RabbitMq)
