"""The figures of one run of tools/bench, as its JSON has them."""

import collections
import json

# One point of a line: where it stands, the median, and the bounds of its interval.
Point = collections.namedtuple("Point", "x median low high")


class Run:
    """What was measured; figures are asked for by probe and name, as in bench/compare/goals.cc."""

    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
        self.machine = document["machine"]
        self.mode = document["mode"]
        self.goals = document["goals"]
        self.probes = {probe["name"]: probe for probe in document["probes"] + document["sweeps"]}

    def caption(self):
        machine = self.machine
        return "%s, %s, %s; %s, mode %s" % (
            machine["processor"], machine["file system"], machine["kernel"], machine["date"], self.mode)

    def figure(self, probe, name):
        """Median, low and high of a figure, or None if it was not measured."""
        found = self.probes.get(probe, {}).get("figures", {}).get(name)
        return (found["median"], found["low"], found["high"]) if found else None

    def median(self, probe, name):
        found = self.figure(probe, name)
        return found[0] if found else None

    def sweep(self, what, who, name, scale=1.0):
        """The points of one line of a sweep, from sweep.<what>.<who>.<x>, by x."""
        prefix = "sweep.%s.%s." % (what, who)
        points = []
        for probe in self.probes:
            if not probe.startswith(prefix):
                continue
            found = self.figure(probe, name)
            if found and found[0] > 0:
                points.append(Point(int(probe[len(prefix):]), *[value * scale for value in found]))
        return sorted(points)

    def quantiles(self, probe, name, wanted):
        """Latencies in us at the quantiles `wanted`, all rounds together; None if there are none."""
        buckets = self.probes.get(probe, {}).get("latencies_ns", {}).get(name)
        if not buckets:
            return None
        total = sum(count for _, count in buckets)
        values, seen, at = [], 0, 0
        for quantile in wanted:
            while at < len(buckets) and seen < quantile * total:
                seen += buckets[at][1]
                at += 1
            values.append(buckets[max(0, at - 1)][0] / 1000)
        return values
