#!/usr/bin/env python3
"""Draws the figures of a run of tools/bench as SVG: draw.py FILE DIRECTORY.

Each chart that the run has figures for; with --quick there are no sweeps.  What the raw device allows is
a dashed line.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from chart import COLOURS, MARKERS, NAMES, Chart, duration, short, size  # noqa: E402
from data import Point, Run  # noqa: E402

PRODUCERS = [1, 2, 4, 8, 16, 32, 64, 128, 256]
QUANTILES = [0.5, 0.9, 0.99, 0.999, 0.9999]
RATE = "records_per_s"


def all_lines(run, chart, what, name, scale=1.0, scale_x=False):
    for who in NAMES:
        points = run.sweep(what, who, name, scale)
        if scale_x:
            points = [Point(p.x, p.median * p.x, p.low * p.x, p.high * p.x) for p in points]
        chart.line(points, NAMES[who], COLOURS[who], MARKERS[who])


def raw_overwrite(run, chart, times=1):
    value = run.median("device.sync4k.overwriting", "writes_per_s")
    whom = "each" if times == 1 else "%d records" % times
    chart.raw(value and value * times, "raw: one 4 KiB overwrite + fdatasync for " + whom)


def goals(run):
    """How far above its goal each figure is; both ends of its interval."""
    measured = [goal for goal in run.goals if goal["verdict"] != "skipped"]
    chart = Chart("Goals: how many times as good as asked for", "1 is the goal, right of it is better", "",
                  9.0, 0.8 + 0.24 * len(measured))
    for at, goal in enumerate(measured):
        ends = [goal["interval"][end] for end in ("low", "median", "high")]
        if goal["sense"] == "at_least":
            low, median, high = [value / goal["goal"] for value in ends]
        else:
            high, median, low = [goal["goal"] / value if value else 1e3 for value in ends]
        colour = COLOURS["durable"] if goal["verdict"] == "not_met" else COLOURS["millrace"]
        chart.axes.plot([low, high], [at, at], color=colour, lw=2, solid_capstyle="round")
        chart.axes.plot([median], [at], "o", color=colour, ms=5)
        chart.drawn += 1
    chart.axes.set_yticks(range(len(measured)), ["%s: %s" % (goal["work"], goal["what"]) for goal in measured],
                          fontsize=7)
    chart.axes.invert_yaxis()
    chart.axes.axvline(1, color="#222222", lw=1)
    chart.axes.set_xscale("log")
    chart.axes.xaxis.set_major_formatter(short)
    return chart


def device(run):
    """Raw 4 KiB writes a second, each durable."""
    chart = Chart("The raw device: durable 4 KiB writes", "writes/s", "")
    rows = []
    for probe, title in (("sync4k.appending", "append, fdatasync"), ("sync4k.fallocated", "fallocated, fdatasync"),
                         ("sync4k.overwriting", "overwrite, fdatasync"), ("direct4k.appending", "append, O_DSYNC"),
                         ("direct4k.fallocated", "fallocated, O_DSYNC"), ("direct4k.overwriting", "overwrite, O_DSYNC"),
                         ("ring4k.1", "io_uring, 1 in flight"), ("ring4k.2", "io_uring, 2 in flight"),
                         ("ring4k.4", "io_uring, 4 in flight"), ("ring4k.8", "io_uring, 8 in flight")):
        found = run.figure("device." + probe, "writes_per_s")
        if found:
            rows.append((title, *found, "#8c8c8c"))
    for producers in (1, 8, 64):
        found = run.figure("durable%d.millrace" % producers, "syncs_per_s")
        if found:
            rows.append(("Millrace's syncs, %d producers" % producers, *found, COLOURS["millrace"]))
    chart.bars(rows)
    return chart


def durable_producers(run):
    chart = Chart("Durable appends, 128-byte records", "producers, each waiting for its record", "records/s")
    all_lines(run, chart, "producers", RATE)
    raw_overwrite(run, chart)
    return chart.logarithmic(PRODUCERS, True)


def latency_of(run, name, title):
    chart = Chart(title, "percentile", "latency")
    at = list(range(len(QUANTILES)))
    for who in NAMES:
        values = run.quantiles("%s.%s" % (name, who), "append", QUANTILES)
        if values:
            chart.line([Point(x, value, value, value) for x, value in zip(at, values)], NAMES[who], COLOURS[who],
                       MARKERS[who])
    raw = run.quantiles("device.sync4k.overwriting", "write", QUANTILES)
    if raw:
        chart.axes.plot(at, raw, color="#555555", lw=1.1, ls="--", label="raw 4 KiB overwrite + fdatasync")
    chart.axes.set_xticks(at, ["p%g" % (100 * quantile) for quantile in QUANTILES])
    return chart.logarithmic(y=True, y_text=duration)


def latency_closed(run):
    return latency_of(run, "durable64", "Latency of a durable append, 64 producers, closed loop")


def latency_open(run):
    return latency_of(run, "open64", "Latency from arrival, 64 producers, 10 000 records/s")


def arrivals(run, quantile="p99"):
    chart = Chart("Durable appends at a fixed arrival rate, %s from arrival" % quantile, "records/s that arrive",
                  "latency")
    all_lines(run, chart, "arrivals", "append." + quantile, 1e-3)
    raw = run.median("device.sync4k.overwriting", "write." + quantile)
    chart.raw(raw and raw / 1000, "raw 4 KiB overwrite + fdatasync, " + quantile)
    return chart.logarithmic([1000, 2000, 5000, 10000, 20000, 40000, 80000, 160000], True, y_text=duration)


def record_bytes(run):
    chart = Chart("Durable appends, 8 producers", "bytes of a record", "payload, bytes/s")
    all_lines(run, chart, "record_bytes", RATE, scale_x=True)
    chart.raw(run.median("device.sync1m.overwriting", "bytes_per_s"), "raw 1 MiB overwrite + fdatasync")
    return chart.logarithmic([16, 128, 1024, 8192, 65536, 262144, 1 << 20], True, x_text=size)


def segment_bytes(run):
    chart = Chart("Durable appends of 1 KiB, 8 producers", "segment size", "records/s")
    all_lines(run, chart, "segment_bytes", RATE)
    raw_overwrite(run, chart, 8)
    chart.axes.set_ylim(bottom=0)
    return chart.logarithmic([1 << bits for bits in range(16, 30, 2)], x_text=size)


def durabilities(run):
    chart = Chart("Closed loop by durability, 128-byte records", "producers", "records/s")
    for kind in ("buffered", "written", "durable"):
        chart.line(run.sweep("durability_" + kind, "millrace", RATE), kind, COLOURS[kind])
    cached = run.median("device.cached1m", "bytes_per_s")
    chart.raw(cached and cached / 128, "raw write of the payload, 1 MiB blocks", ":")
    raw_overwrite(run, chart)
    return chart.logarithmic([1, 4, 16, 64], True)


def readers(run):
    chart = Chart("8 durable producers beside readers", "cursors that tail the log", "records/s appended")
    all_lines(run, chart, "readers", RATE)
    raw_overwrite(run, chart, 8)
    chart.axes.set_ylim(bottom=0)
    return chart


def segments(run):
    chart = Chart("Opening, and trimming all", "segments", "time")
    chart.line(run.sweep("open", "millrace", "open_ns", 1e-3), "open", COLOURS["millrace"])
    chart.line(run.sweep("trim", "millrace", "trim_ns", 1e-3), "trim all but one", COLOURS["durable"], "s")
    raw = run.median("device.sync4k.overwriting", "write.p50")
    chart.raw(raw and raw / 1e3, "raw: one 4 KiB overwrite + fdatasync")
    return chart.logarithmic([1, 10, 100, 1000, 10000], True, y_text=duration)


def cursors(run):
    chart = Chart("Checkpoints, each with its sync", "cursors", "checkpoints/s")
    all_lines(run, chart, "cursors", RATE)
    raw_overwrite(run, chart)
    chart.axes.set_ylim(bottom=0)
    return chart.logarithmic([1, 10, 100, 1000])


def append_call(run):
    sizes = [16, 128, 1024, 4096, 16384, 65536]
    chart = Chart("One call of a buffered append, queue not full", "bytes of a record", "ns, p50")
    for probe, figure, title, colour in (("call.append", "call_%d.p50", "Append", "millrace"),
                                         ("call.async", "call_%d.p50", "AppendAsync, callback", "other")):
        points = [(bytes_, run.figure(probe, figure % bytes_)) for bytes_ in sizes]
        chart.line([Point(bytes_, *found) for bytes_, found in points if found], title, COLOURS[colour])
    raw = [(bytes_, run.median("call.append", "copy_%d.p50" % bytes_)) for bytes_ in sizes]
    raw = [(bytes_, value) for bytes_, value in raw if value]
    if raw:
        chart.axes.plot(*zip(*raw), color="#555555", lw=1.1, ls="--", label="raw: copy and XXH3")
    return chart.logarithmic(sizes, True, x_text=size)


def queue(run):
    chart = Chart("The causal queue alone", "producers", "items/s")
    for who, title, colour in (("causal", "causal queue", "millrace"), ("bare", "bare moodycamel, tokens", "other")):
        points = [(count, run.figure("queue%d.%s" % (count, who), RATE)) for count in PRODUCERS]
        chart.line([Point(count, *found) for count, found in points if found], title, COLOURS[colour])
    chart.axes.set_ylim(bottom=0)
    return chart.logarithmic([1, 2, 4, 8, 16, 32])


def reading(run):
    chart = Chart("Sequential read from the page cache, 128-byte records", "records/s", "")
    rows = []
    for probe, title, colour in (("read128.batch", "Cursor::NextBatch", COLOURS["millrace"]),
                                 ("read128.next", "Cursor::Next", COLOURS["written"]),
                                 ("read128.diskqueue", "go-diskqueue", COLOURS["diskqueue"])):
        found = run.figure(probe, RATE)
        if found:
            rows.append((title, *found, colour))
    chart.bars(rows)
    passes, batch = run.median("read128.raw", "passes_per_s"), run.figure("read128.batch", "passes_per_s")
    if passes and batch and rows:
        records = rows[0][1] / batch[0]
        chart.axes.axvline(passes * records, color="#555555", lw=1.1, ls="--", label="raw read of the same files")
    return chart


CHARTS = [goals, device, durable_producers, latency_closed, latency_open, arrivals, record_bytes, segment_bytes,
          durabilities, readers, segments, cursors, append_call, queue, reading]


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: draw.py FILE DIRECTORY")
    run = Run(sys.argv[1])
    os.makedirs(sys.argv[2], exist_ok=True)
    drawn = 0
    for chart in CHARTS:
        drawn += chart(run).save(os.path.join(sys.argv[2], chart.__name__ + ".svg"), run.caption())
    print("%d plots in %s" % (drawn, sys.argv[2]), file=sys.stderr)


if __name__ == "__main__":
    main()
