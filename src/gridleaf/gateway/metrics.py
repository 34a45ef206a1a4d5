"""What the gateway counts, for Prometheus.

Messages are counted in plain dictionaries, which costs a station's round trip next to nothing, and
are turned into metrics when somebody asks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

_BUCKETS = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class GatewayMetrics(Collector):
    """Counters of one gateway, registered with ``registry``.

    Attributes
    ----------
    messages
        (action, direction) to messages; answers count as ``CALLRESULT`` and ``CALLERROR``.
    connections
        Version to connections that were admitted.
    refused
        Reason to connections that were not admitted.
    frames_shed
        Frames that were not logged because the store was down or too slow.
    protocol
        What the endpoints of ended connections counted (malformed, duplicate, unsolicited ...).
    call_seconds
        How long stations took to answer our calls, by action [s].
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        live: Callable[[], Iterable[tuple[str, Mapping[str, int]]]],
    ) -> None:
        """``live`` gives version and endpoint counters of every connection there is now."""
        self.messages: Counter[tuple[str, str]] = Counter()
        self.connections: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.frames_shed = 0
        self.protocol: Counter[str] = Counter()
        self.call_seconds = Histogram(
            "gridleaf_ocpp_call_seconds",
            "Time a station took to answer a call",
            ("action",),
            registry=registry,
            buckets=_BUCKETS,
        )
        self._live = live
        registry.register(self)

    def collect(self) -> Iterable[Metric]:
        online: Counter[str] = Counter()
        protocol = Counter(self.protocol)
        for version, counters in self._live():
            online[version] += 1
            protocol.update(counters)
        yield _family(
            GaugeMetricFamily("gridleaf_ocpp_online", "Stations connected now", labels=["version"]),
            online,
        )
        yield _family(_counter("connections", "Connections admitted", "version"), self.connections)
        yield _family(_counter("refused", "Connections refused", "reason"), self.refused)
        yield _family(_counter("protocol_events", "What endpoints counted", "what"), protocol)
        messages = CounterMetricFamily(
            "gridleaf_ocpp_messages", "OCPP messages", labels=["action", "direction"]
        )
        for (action, direction), count in sorted(self.messages.items()):
            messages.add_metric([action, direction], count)
        yield messages
        yield CounterMetricFamily(
            "gridleaf_ocpp_frames_shed", "Frames not logged", value=self.frames_shed
        )


def _counter(name: str, documentation: str, label: str) -> CounterMetricFamily:
    return CounterMetricFamily(f"gridleaf_ocpp_{name}", documentation, labels=[label])


def _family(
    family: CounterMetricFamily | GaugeMetricFamily, counts: Mapping[str, int]
) -> CounterMetricFamily | GaugeMetricFamily:
    for label, count in sorted(counts.items()):
        family.add_metric([label], count)
    return family
