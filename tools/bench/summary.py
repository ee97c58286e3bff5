#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Results of braid-bench and of its peers as one table of ratios, and as plots.

    summary.py [--base SYSTEM] [--plot PREFIX] [--bundle FILE] FILE.json...

Files of the same load (kind of loop, tenants of each model) stand together;
each system's median over its runs is divided by the base's. Plots are SVG:
throughput and the worst tenant's p99 against tenants, a line a system, of the
loads of several models, if there are such. --bundle puts all that was read into one file, as it is.
"""
import argparse
import collections
import json
import os
import statistics
import sys

COLOURS = ["#1b6ca8", "#c8553d", "#4c956c", "#7d4e9f", "#b08900", "#555b6e", "#d16ba5", "#2a9d8f"]
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 380, 70, 210, 40, 50

Point = collections.namedtuple("Point", "rps p50 p99 worst merge fuse n")


def load_name(run):
    count = collections.Counter((t["model"], t.get("outstanding", 1)) for t in run["tenants"])
    return " + ".join(f"{n}x {m}" + (f", {k} outstanding" if k > 1 else "")
                      for (m, k), n in sorted(count.items()))


def read(paths):
    """{(loop, load, tenants): {system: Point}}, medians over a system's runs."""
    found = collections.defaultdict(lambda: collections.defaultdict(list))
    for path in paths:
        with open(path) as f:
            doc = json.load(f)
        doc = doc.get("bench", doc)
        for run in doc.get("runs", []):
            system = doc.get("as", "braid")
            if system == "braid" or system.startswith("braid "):
                system = f"{system}, {run['policy']}"
            found[(doc["mode"], load_name(run), len(run["tenants"]))][system].append(run)
    return {key: {s: point(runs) for s, runs in systems.items()}
            for key, systems in found.items()}


def point(runs):
    def median(of):
        return statistics.median(of(r) for r in runs)

    return Point(median(lambda r: r["requests_per_second"]),
                 median(lambda r: r["latency"]["p50_ms"]),
                 median(lambda r: r["latency"]["p99_ms"]),
                 median(lambda r: r["worst_tenant_p99_ms"]),
                 median(lambda r: r.get("merge_degree_mean", 1)),
                 median(lambda r: r.get("fuse_degree_mean", 1)), len(runs))


def ratio_of(systems, group, name):
    """@name's throughput by the best other one's of the same Braid."""
    others = {s: p.rps for s, p in systems.items() if s.startswith(group + ", ") and s != name}
    if name not in systems or not others:
        return None
    best = max(others, key=others.get)
    return systems[name].rps / others[best], best.split(", ")[-1]


def adaptive(results):
    """The adaptive policy by the best fixed one, for each load."""
    rows = []
    for (mode, load, tenants), systems in sorted(results.items(), key=lambda r: (r[0][0], r[0][2])):
        for group in sorted({s.rsplit(", ", 1)[0] for s in systems if s.endswith(", adaptive")}):
            found = ratio_of(systems, group, f"{group}, adaptive")
            if mode == "closed" and found:
                rows.append(f"| {group} | {tenants} | {load} | {found[1]} | {found[0]:.3f} |")
    if rows:
        print("\nThe adaptive policy by the best fixed one:\n")
        print("| on | tenants | load | best fixed | adaptive by it |\n|---|--:|---|---|--:|")
        print("\n".join(rows))


def table(results, base):
    for (mode, load, tenants), systems in sorted(results.items(), key=lambda r: (r[0][0], r[0][2])):
        print(f"\n{tenants} tenants, {mode} loop: {load}\n")
        print("| system | req/s | of the base | p50 ms | p99 ms | worst p99 ms | merge | fuse | runs |")
        print("|---|---|---|---|---|---|---|---|---|")
        first = systems.get(base)
        for name, p in sorted(systems.items(), key=lambda s: -s[1].rps):
            ratio = f"{p.rps / first.rps:.2f}" if first and first.rps else ""
            print(f"| {name} | {p.rps:,.0f} | {ratio} | {p.p50:.3f} | {p.p99:.3f} | "
                  f"{p.worst:.3f} | {p.merge:.2f} | {p.fuse:.2f} | {p.n} |")


def ticks(top):
    step = 10 ** len(str(int(top))) / 10 if top >= 1 else 0.1
    while top / step > 6:
        step *= 2
    while top / step < 3:
        step /= 2
    return [i * step for i in range(int(top / step) + 1)]


def escape(text):
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def svg(title, unit, lines, path):
    """lines: {system: [(tenants, value)]}"""
    xs = sorted({x for pts in lines.values() for x, _ in pts})
    top = max(y for pts in lines.values() for _, y in pts) * 1.05 or 1
    span = max(1, len(xs) - 1)

    def at(x, y):
        return (LEFT + (WIDTH - LEFT - RIGHT) * xs.index(x) / span,
                HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * y / top)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
           'font-family="sans-serif" font-size="12">',
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
           f'<text x="{LEFT}" y="20" font-size="14">{escape(title)}</text>']
    for y in ticks(top):
        _, py = at(xs[0], y)
        out.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{py:.1f}" y2="{py:.1f}" '
                   'stroke="#ddd"/>'
                   f'<text x="{LEFT - 6}" y="{py + 4:.1f}" text-anchor="end">{y:g}</text>')
    for x in xs:
        px, _ = at(x, 0)
        out.append(f'<text x="{px:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{x}</text>')
    out.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 12}" '
               'text-anchor="middle">tenants</text>'
               f'<text x="16" y="{HEIGHT / 2}" transform="rotate(-90 16 {HEIGHT / 2})" '
               f'text-anchor="middle">{escape(unit)}</text>')
    for i, (name, pts) in enumerate(sorted(lines.items())):
        colour = COLOURS[i % len(COLOURS)]
        dash = ' stroke-dasharray="5 3"' if i >= len(COLOURS) else ""
        coords = " ".join(f"{px:.1f},{py:.1f}" for px, py in (at(*p) for p in sorted(pts)))
        out.append(f'<polyline points="{coords}" fill="none" stroke="{colour}" '
                   f'stroke-width="2"{dash}/>')
        for p in pts:
            px, py = at(*p)
            out.append(f'<circle cx="{px:.1f}" cy="{py:.1f}" r="3" fill="{colour}"/>')
        y = TOP + 18 * i
        out.append(f'<rect x="{WIDTH - RIGHT + 14}" y="{y - 9}" width="10" height="10" '
                   f'fill="{colour}"/><text x="{WIDTH - RIGHT + 30}" y="{y}">{escape(name)}</text>')
    out.append("</svg>\n")
    with open(path, "w") as f:
        f.write("\n".join(out))


def plots(results, prefix):
    rps, p99 = collections.defaultdict(list), collections.defaultdict(list)
    closed = [key for key in results if key[0] == "closed"]
    for key in [k for k in closed if "+" in k[1] and "tiny" not in k[1]] or closed:
        tenants, systems = key[2], results[key]
        for name, p in systems.items():
            rps[name].append((tenants, p.rps))
            p99[name].append((tenants, p.worst))
    if rps:
        svg("Throughput, closed loop", "requests a second", rps, prefix + "-throughput.svg")
        svg("Worst tenant's 99th percentile, closed loop", "ms", p99, prefix + "-p99.svg")


def bundle(args):
    doc = dict(note.split("=", 1) for note in args.note)
    doc["files"] = {}
    for path in args.files:
        with open(path) as f:
            doc["files"][os.path.basename(path)] = json.load(f)
    with open(args.bundle, "w") as f:
        json.dump(doc, f, separators=(",", ":"))
        f.write("\n")


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--base", default="braid, adaptive", help="the system that ratios are of")
    p.add_argument("--plot", metavar="PREFIX")
    p.add_argument("--bundle", metavar="FILE", help="all of it as one JSON file")
    p.add_argument("--note", metavar="KEY=VALUE", action="append", default=[],
                   help="for the bundle: machine, date, commit")
    p.add_argument("files", nargs="+")
    args = p.parse_args()
    results = read(args.files)
    if not results:
        sys.exit("summary: no runs in these files")
    table(results, args.base)
    adaptive(results)
    if args.bundle:
        bundle(args)
    if args.plot:
        os.makedirs(os.path.dirname(args.plot) or ".", exist_ok=True)
        plots(results, args.plot)


if __name__ == "__main__":
    main()
