"""One chart in the style that all of them share."""

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402
from matplotlib import ticker  # noqa: E402

# Apart for the colour-blind too (Okabe and Ito).
COLOURS = {
    "millrace": "#0072b2",
    "leveldb": "#d55e00",
    "rocksdb": "#cc79a7",
    "diskqueue": "#009e73",
    "buffered": "#0072b2",
    "written": "#56b4e9",
    "durable": "#d55e00",
    "other": "#e69f00",
}
NAMES = {"millrace": "Millrace", "leveldb": "LevelDB", "rocksdb": "RocksDB", "diskqueue": "go-diskqueue"}
MARKERS = {"millrace": "o", "leveldb": "s", "rocksdb": "^", "diskqueue": "D"}
RAW = "#555555"

plt.rcParams.update({
    "svg.hashsalt": "millrace",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#999999",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "xtick.color": "#333333",
    "ytick.color": "#333333",
    "legend.frameon": False,
})


def short(value, _=None):
    """12 k, 3.5 M: a number for an axis."""
    for step, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= step:
            return "%.4g%s" % (value / step, unit)
    return "%.4g" % value


def duration(value, _=None):
    """800 ns, 12 us, 3 ms: of a value in us."""
    for step, unit in ((1e6, "s"), (1e3, "ms"), (1, "us")):
        if value >= step:
            return "%.4g %s" % (value / step, unit)
    return "%.4g ns" % (value * 1e3)


def size(value, _=None):
    """16 B, 64 KiB, 1 MiB."""
    for step, unit in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if value >= step:
            return "%.4g %s" % (value / step, unit)
    return "%.4g B" % value


class Chart:
    """Axes with a title, lines with their intervals, raw limits; saved once."""

    def __init__(self, title, x_label, y_label, width=6.4, height=4.0):
        self.figure, self.axes = plt.subplots(figsize=(width, height))
        self.axes.set_title(title, pad=12)
        self.axes.set_xlabel(x_label)
        self.axes.set_ylabel(y_label)
        self.drawn = 0

    def line(self, points, name, colour, marker="o"):
        """A line through the medians; a band from low to high."""
        if not points:
            return
        xs = [point.x for point in points]
        self.axes.fill_between(xs, [p.low for p in points], [p.high for p in points], color=colour, alpha=0.15, lw=0)
        self.axes.plot(xs, [p.median for p in points], marker=marker, ms=4, lw=1.6, color=colour, label=name)
        self.drawn += 1

    def raw(self, value, name, style="--"):
        """A raw limit, as a line across."""
        if value:
            self.axes.axhline(value, color=RAW, lw=1.1, ls=style, label=name)

    def bars(self, rows):
        """Horizontal bars of (name, median, low, high, colour), the first on top."""
        rows = [row for row in rows if row[1]]
        for at, (_, median, low, high, colour) in enumerate(rows):
            self.axes.barh(at, median, color=colour, height=0.62)
            self.axes.plot([low, high], [at, at], color="#222222", lw=1)
            self.axes.annotate(" " + short(median), (max(median, high), at), va="center", fontsize=8)
        self.axes.set_yticks(range(len(rows)), [row[0] for row in rows])
        self.axes.invert_yaxis()
        self.axes.grid(axis="y", visible=False)
        self.drawn += len(rows)

    def logarithmic(self, x=None, y=None, x_text=short, y_text=short):
        """Logarithmic axes: x at the values given, y by tens if it is not None."""
        if x:
            self.axes.set_xscale("log", base=2)
            self.axes.set_xticks(x)
            self.axes.xaxis.set_minor_locator(ticker.NullLocator())
            self.axes.xaxis.set_major_formatter(ticker.FuncFormatter(x_text))
        if y:
            self.axes.set_yscale("log")
            self.axes.yaxis.set_major_formatter(ticker.FuncFormatter(y_text))
        return self

    def save(self, path, caption):
        """Writes the chart; nothing if there is nothing on it."""
        if self.drawn == 0:
            plt.close(self.figure)
            return False
        for axis in (self.axes.xaxis, self.axes.yaxis):
            if isinstance(axis.get_major_formatter(), ticker.ScalarFormatter):
                axis.set_major_formatter(ticker.FuncFormatter(short))
        if self.axes.get_legend_handles_labels()[0]:
            self.axes.legend(fontsize=8, loc="best")
        self.figure.text(0.01, 0.005, caption, fontsize=6, color="#777777")
        self.figure.tight_layout(rect=(0, 0.02, 1, 1))
        self.figure.savefig(path, metadata={"Date": None})
        plt.close(self.figure)
        return True
