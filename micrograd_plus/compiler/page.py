"""An `Explanation` as one HTML file that needs nothing else: no network, and no script to be read.

What a picture shows is in the table of kernels too, which is what a keyboard and a screen reader go through. The script sorts the
table, and opens and closes its rows; without it, all rows are open.
"""

import re
from collections.abc import Iterable
from html import escape

from .explain import BUSY, KINDS, Explanation, KernelReport, duration, size, spoken

BARS = 24  # kernels in the chart of the slowest
WORDS = re.compile(
    r"(?P<c>//[^\n]*)|(?P<p>#pragma[^\n]*)|(?P<k>\b(?:static|void|const|int|long|float|double|unsigned|char|for|if|return|restrict)\b)"
)


def page(e: Explanation) -> str:
    """The file's text."""
    parts = [_summary(e), _passes(e), _time(e), _memory(e), _table(e)]
    title = f"{escape(e.function)}, compiled"
    policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{title}</title>\n<style>{STYLE}</style>\n'
        "<noscript><style>tr.more[hidden] { display: table-row }</style></noscript>\n</head>\n<body>\n<main>\n"
        f"{''.join(parts)}</main>\n<script>{SCRIPT}</script>\n</body>\n</html>\n"
    )


def _section(title: str, prose: str, *body: str) -> str:
    return f"<section>\n<h2>{title}</h2>\n<p>{prose}</p>\n{''.join(body)}</section>\n"


def _legend(kinds: Iterable[tuple[str, str]]) -> str:
    return '<ul class="legend">' + "".join(f'<li><i class="{css}"></i>{escape(name)}</li>' for css, name in kinds) + "</ul>\n"


def _total(e: Explanation) -> float:
    return sum(kernel.measured for kernel in e.kernels) or 1e-9


# -- summary -------------------------------------------------------------------------------------------------------------


def _summary(e: Explanation) -> str:
    saved = 1 - e.arena / e.values if e.values else 0.0
    built = "from the cache" if e.cached else "by the C compiler"
    waits = f"{e.barriers} barriers" if e.threads > 1 else "no barriers"
    tiles = [
        ("a step takes", duration(e.measured), f"of which the call takes {duration(e.entry)}"),
        ("operations", f"{sum(e.traced.values())} → {sum(e.simplified.values())}", "traced, after simplifying"),
        ("kernels", str(len(e.kernels)), f"of {len({kernel.name for kernel in e.kernels})} different C functions"),
        ("memory", size(e.arena), f"{saved:.0%} less than all values, {size(e.values)}"),
        ("threads", str(e.threads), waits),
        ("built in", duration(sum(e.seconds.values())), f"trace {duration(e.seconds['trace'])}, C {duration(e.seconds['C'])} {built}"),
    ]
    body = "".join(f"<div><dt>{name}</dt><dd>{escape(value)}</dd><dd>{escape(note)}</dd></div>\n" for name, value, note in tiles)
    title = f'<p class="kicker">micrograd_plus.compile</p>\n<h1>{escape(e.function)}</h1>\n'
    return f'<header>\n{title}<dl class="tiles">\n{body}</dl>\n</header>\n'


# -- passes --------------------------------------------------------------------------------------------------------------


def _passes(e: Explanation) -> str:
    kinds = [(f"g{i}", kind) for i, kind in enumerate(KINDS) if e.traced[kind] or e.simplified[kind]]
    longest = max(sum(e.traced.values()), sum(e.simplified.values()), 1)
    rows = []
    for name, counts in (("traced", e.traced), ("simplified", e.simplified)):
        spans = "".join(
            f'<span class="{css}" style="width: {100 * counts[kind] / longest:.3f}%" title="{counts[kind]} {kind}">'
            f"{counts[kind] if counts[kind] > longest / 30 else ''}</span>"
            for css, kind in kinds
            if counts[kind]
        )
        rows.append(f'<dt>{name} <b>{sum(counts.values())}</b></dt><dd class="stack">{spans}</dd>\n')
    by_kind = {kind: sum(kernel.kind == kind for kernel in e.kernels) for kind in ("products", "loops", "other")}
    css = {"products": f"g{list(KINDS).index('products')}", "loops": f"g{list(KINDS).index('elementwise')}", "other": "g4"}
    spans = "".join(
        f'<span class="{css[kind]}" style="width: {100 * n / longest:.3f}%" title="{n} {kind}"></span>' for kind, n in by_kind.items() if n
    )
    rows.append(f'<dt>kernels <b>{len(e.kernels)}</b></dt><dd class="stack">{spans}</dd>\n')
    prose = (
        "Each step of a bar is one kind of operation. Simplifying drops what is constant, done twice or not needed; "
        "fusing computes elementwise operations, and the reductions that they feed, in one loop. Views cost nothing."
    )
    words = " · ".join(f"{n} {kind}" for kind, n in by_kind.items() if n)
    table = "".join(f"<tr><th scope=row>{kind}</th><td>{e.traced[kind]}</td><td>{e.simplified[kind]}</td></tr>" for _, kind in kinds)
    details = (
        "<details><summary>The numbers</summary><table class=small><thead><tr><th>kind</th><th>traced</th><th>simplified</th></tr></thead>"
        f"<tbody>{table}</tbody></table><p>Kernels: {words}.</p></details>\n"
    )
    return _section("From a function to kernels", prose, f'<dl class="bars">{"".join(rows)}</dl>', _legend(kinds), details)


# -- time ----------------------------------------------------------------------------------------------------------------


def _css(kernel: KernelReport) -> str:
    return {"products": "g5", "loops": "g1", "other": "g4"}[kernel.kind]


def _operations(kernel: KernelReport) -> str:
    """The operations in order, each run of equal ones once."""
    found: list[list[object]] = []
    for op in kernel.operations:
        if found and found[-1][0] == op:
            found[-1][1] += 1  # type: ignore[operator]
        else:
            found.append([op, 1])
    words = ", ".join(f"{op}" if n == 1 else f"{op} × {n}" for op, n in found)
    return f"{words}: {' and '.join(map(str, kernel.inputs))}" if kernel.inputs else words


def _where(kernel: KernelReport) -> str:
    return f"{escape(str(kernel.lines[0]))}: " if kernel.lines else ""


def _time(e: Explanation) -> str:
    total = _total(e)
    strip, x = [], 0.0
    for kernel in e.kernels:
        width = 1000 * kernel.measured / total
        strip.append(f'<rect class="{_css(kernel)}" x="{x:.2f}" width="{width:.2f}" height="34"><title>{_hint(kernel)}</title></rect>')
        x += width
    whole = (
        '<svg class="strip" viewBox="0 0 1000 34" preserveAspectRatio="none" role="img" '
        f'aria-label="the kernels in the order of running, as wide as their time">{"".join(strip)}</svg>\n'
        f'<p class="scale"><span>0</span><span>{duration(total)}</span></p>\n'
    )
    by_name: dict[str, list[KernelReport]] = {}
    for kernel in e.kernels:
        by_name.setdefault(kernel.name, []).append(kernel)
    groups = [(sum(k.measured for k in group), sum(k.estimated for k in group), group) for group in by_name.values()]
    slowest = sorted(groups, key=lambda row: -row[0])[:BARS]
    longest = max([1e-9, *(max(row[:2]) for row in slowest)])
    rows = []
    for measured, estimated, group in slowest:
        kernel, times = group[0], f" × {len(group)}" if len(group) > 1 else ""
        rows.append(
            f'<li><a href="#k{kernel.index}"><b>{kernel.index}</b> {escape(str(kernel))}{times}</a>'
            f'<span class="bar"><i class="{_css(kernel)}" style="width: {100 * measured / longest:.2f}%"></i>'
            f'<u style="left: {100 * estimated / longest:.2f}%" title="estimated {duration(estimated)}"></u></span>'
            f"<span>{duration(measured)}</span><small>{_where(kernel)}{escape(_operations(kernel))}</small></li>\n"
        )
    rest, left = len(groups) - len(slowest), total - sum(row[0] for row in slowest)
    more = f"<p>{rest} more functions take {duration(left)} together.</p>\n" if rest else ""
    legend = _legend([("g5", "products"), ("g1", "loops"), ("g4", "other"), ("tick", "estimated")])
    prose = (
        "First, the kernels in the order of running, as wide as their time. Then the C functions, the slowest first: how many kernels "
        "are calls of it, the operations that it computes, and a mark where the estimate is. All threads wait after each kernel "
        f"while it is measured: the kernels took {duration(total)} together, the step without measuring them {duration(e.measured)}."
        f"{BUSY if e.busy else ''}"
    )
    return _section("Where the time goes", prose, whole, legend, f'<ol class="chart">{"".join(rows)}</ol>\n', more)


def _hint(kernel: KernelReport) -> str:
    where = f", {kernel.lines[0]}" if kernel.lines else ""
    return escape(f"{kernel.index} {kernel}{where}: {duration(kernel.measured)}")


# -- memory --------------------------------------------------------------------------------------------------------------


def _memory(e: Explanation) -> str:
    n, top = max(len(e.kernels), 1), max(e.arena, 1)
    boxes = []
    for buffer in e.buffers:
        x, w = 1000 * buffer.first / n, 1000 * (buffer.last - buffer.first + 1) / n
        y, h = 300 * (1 - (buffer.offset + buffer.size) / top), 300 * buffer.size / top
        what = f"{buffer.name}, {size(buffer.size)}, kernels {buffer.first} to {buffer.last}"
        boxes.append(
            f'<rect class="{_css(e.kernels[buffer.first])}" x="{x:.2f}" y="{y:.2f}" width="{w:.2f}" height="{h:.2f}">'
            f"<title>{escape(what)}</title></rect>"
        )
    prose = (
        "Each box is a value: as high as it is big, from the kernel that writes it to the last one that reads it. A place is used "
        f"again once it is free, so {size(e.stored)} of values fit into {size(e.arena)}. Values that never leave a register are in no "
        f"box: stored one by one, all that is computed would be {size(e.values)}. Parameters, gradients, arguments and results, "
        f"{size(e.outside)}, stay where they are."
    )
    if not e.buffers:
        return _section("Memory", "Nothing is stored between kernels.")
    picture = (
        f'<div class="plot"><span class="y">{size(e.arena)}</span><svg viewBox="0 0 1000 300" preserveAspectRatio="none" role="img" '
        f'aria-label="{len(e.buffers)} values in the arena: offset against kernel">{"".join(boxes)}</svg>'
        f'<p class="scale"><span>kernel 0</span><span>kernel {n - 1}</span></p></div>\n'
    )
    return _section("Memory", prose, picture)


# -- the table -----------------------------------------------------------------------------------------------------------

COLUMNS = ("#", "kernel", "shape", "line", "read", "written", "estimated", "measured", "share")


def _table(e: Explanation) -> str:
    total = _total(e)
    head = "".join(
        f'<th scope="col"{" aria-sort=ascending" if i == 0 else ""}><button type="button">{name}</button></th>'
        for i, name in enumerate(COLUMNS)
    )
    bodies = "".join(_row(kernel, total) for kernel in e.kernels)
    prose = (
        "In the order of running. A column's title sorts by it; a kernel's name opens its operations, the lines that they are from, and "
        "its C functions. A dot after the number says that all threads wait before it."
    )
    speed = (
        "Estimates: the slowest of bytes moved, products, and elementwise operations, by the speed of one thread here, times the number "
        f"of threads: {spoken(e.speeds)}."
    )
    return _section(
        "The kernels",
        prose,
        '<p><button type="button" id="all">Open all</button></p>\n',
        f'<div class="wide"><table id="kernels"><thead><tr>{head}</tr></thead>\n{bodies}</table></div>\n<p class="note">{speed}</p>\n',
    )


def _row(kernel: KernelReport, total: float) -> str:
    where = escape(str(kernel.lines[0])) if kernel.lines else ""
    dot = ' <abbr title="all threads wait before it">•</abbr>' if kernel.waits else ""
    cells = [
        (kernel.index, f"{kernel.index}{dot}"),
        (str(kernel), f'<button type="button" aria-expanded="false" aria-controls="m{kernel.index}">{escape(str(kernel))}</button>'),
        (str(kernel.shape), escape(str(kernel.shape))),
        (where, where),
        (kernel.read, size(kernel.read)),
        (kernel.written, size(kernel.written)),
        (kernel.estimated, f"{duration(kernel.estimated)} <small>{kernel.bound}</small>"),
        (kernel.measured, duration(kernel.measured)),
        (kernel.measured, f'<span class="share"><i class="{_css(kernel)}" style="width: {100 * kernel.measured / total:.1f}%"></i></span>'
         f"{kernel.measured / total:.1%}"),
    ]  # fmt: skip
    tds = "".join(f'<td data-v="{escape(str(value))}">{shown}</td>' for value, shown in cells)
    lines = "".join(f"<li><b>{escape(str(line))}</b> <code>{escape(line.text)}</code></li>" for line in kernel.lines)
    facts = (
        f"{'All threads' if kernel.parallel else 'One thread'}{f', {kernel.flops:,} floating-point operations' if kernel.flops else ''}."
    )
    more = (
        f"<p>{escape(_operations(kernel))}</p><p>{facts}</p><ul>{lines}</ul>"
        f'<pre tabindex="0" aria-label="C source">{_coloured(kernel.source)}</pre>'
    )
    return (
        f'<tbody id="k{kernel.index}"><tr>{tds}</tr>'
        f'<tr class="more" id="m{kernel.index}" hidden><td colspan="{len(COLUMNS)}"><div>{more}</div></td></tr></tbody>\n'
    )


def _coloured(code: str) -> str:
    return WORDS.sub(lambda m: f'<span class="{m.lastgroup}">{m[0]}</span>', escape(code, quote=False))


STYLE = """
:root { color-scheme: light dark; --ground: #fbfbfa; --card: #fff; --ink: #1c2024; --soft: #5c6670; --line: #dcdfe3; --focus: #1e5fd0;
  --g0: #aab2bb; --g1: #3f7fd8; --g2: #d6dbe1; --g3: #7c5cc4; --g4: #2a9d8f; --g5: #e08a1e; --on: #fff; --on2: #1c2024 }
@media (prefers-color-scheme: dark) { :root { --ground: #14171b; --card: #1c2026; --ink: #e8eaed; --soft: #9aa5b1; --line: #323841;
  --focus: #7db1ff; --g0: #6b7580; --g1: #5b97ec; --g2: #3d4550; --g3: #a48be0; --g4: #3fb8a8; --g5: #eda24a; --on: #101215;
  --on2: #e8eaed } }
* { box-sizing: border-box }
body { margin: 0; background: var(--ground); color: var(--ink); font: 16px/1.5 system-ui, sans-serif }
main { max-width: 76rem; margin: 0 auto; padding: 2rem 1.25rem 4rem }
h1 { margin: 0 0 1.25rem; font: 600 2rem/1.2 ui-monospace, monospace; overflow-wrap: anywhere }
h2 { margin: 0 0 .4rem; font-size: 1.25rem }
section { margin-top: 1.25rem; padding: 1.25rem 1.5rem; background: var(--card); border: 1px solid var(--line); border-radius: 10px }
section > p { max-width: 52rem; margin: 0 0 1rem; color: var(--soft) }
.kicker { margin: 0; color: var(--soft); font: .85rem ui-monospace, monospace }
dl, dd, dt, ol, ul { margin: 0; padding: 0 }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: .75rem }
.tiles div { padding: .8rem 1rem; background: var(--card); border: 1px solid var(--line); border-radius: 10px }
.tiles dt, .tiles dd + dd { color: var(--soft); font-size: .85rem }
.tiles dt + dd { font-size: 1.35rem; white-space: nowrap; font-weight: 600; font-variant-numeric: tabular-nums }
.g0 { --c: var(--g0); fill: var(--g0) } .g1 { --c: var(--g1); fill: var(--g1) } .g2 { --c: var(--g2); fill: var(--g2) }
.g3 { --c: var(--g3); fill: var(--g3) } .g4 { --c: var(--g4); fill: var(--g4) } .g5 { --c: var(--g5); fill: var(--g5) }
.legend { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; margin: .75rem 0; list-style: none; font-size: .85rem; color: var(--soft) }
.legend i { display: inline-block; width: .8rem; height: .8rem; margin-right: .4rem; border-radius: 2px; background: var(--c);
  vertical-align: -1px }
.legend .tick { width: 2px; background: var(--ink) }
.bars { display: grid; grid-template-columns: 9.5rem 1fr; gap: .5rem 1rem; align-items: center }
.bars dt b { float: right; font-variant-numeric: tabular-nums }
.stack { display: flex; height: 1.9rem }
.stack span { overflow: hidden; background: var(--c); color: var(--on); font-size: .8rem; line-height: 1.9rem;
  text-align: center; border-right: 1px solid var(--card) }
.stack .g2, .stack .g0 { color: var(--on2) }
details { margin-top: .5rem; color: var(--soft) } summary { cursor: pointer }
svg { display: block; width: 100% } svg rect { stroke: var(--card); stroke-width: 1; vector-effect: non-scaling-stroke }
svg rect:hover { opacity: .7 }
.strip { height: 34px } .strip rect { stroke-width: .4 } .plot svg { height: 300px; border: 1px solid var(--line) }
.plot .y { color: var(--soft); font-size: .85rem }
section .scale { display: flex; max-width: none; justify-content: space-between; margin: .2rem 0 0; color: var(--soft); font-size: .85rem }
.chart { list-style: none }
.chart li { display: grid; grid-template-columns: minmax(10rem, 18rem) 1fr 5.5rem; gap: 0 1rem; align-items: center;
  padding: .3rem 0; border-top: 1px solid var(--line) }
.chart li > span:nth-child(3) { text-align: right; font-variant-numeric: tabular-nums }
.chart a { overflow: hidden; color: inherit; text-overflow: ellipsis; white-space: nowrap; font: .9rem ui-monospace, monospace;
  text-decoration: none }
.chart a:hover { text-decoration: underline } .chart a b { display: inline-block; min-width: 2.2em; color: var(--soft);
  font-weight: 400; text-align: right; padding-right: .4em }
.chart small { grid-column: 2 / 4; overflow: hidden; color: var(--soft); text-overflow: ellipsis; white-space: nowrap }
.bar { position: relative; height: 1.1rem; background: var(--ground) }
.bar i { display: block; height: 100%; background: var(--c); border-radius: 0 3px 3px 0; min-width: 1px }
.bar u { position: absolute; top: -2px; bottom: -2px; width: 2px; background: var(--ink) }
.wide { overflow-x: auto }
table { width: 100%; border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums }
th, td { padding: .35rem .5rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line) }
th:nth-child(2), td:nth-child(2), th:nth-child(3), td:nth-child(3), th:nth-child(4), td:nth-child(4) { text-align: left }
table.small { width: auto } table.small th { text-align: left } table.small td { text-align: right }
td small { color: var(--soft) } td abbr { color: var(--g5); text-decoration: none }
button { padding: .1rem .3rem; border: 0; border-radius: 4px; background: none; color: inherit; font: inherit; cursor: pointer }
thead button { font-weight: 600 } button:hover { background: var(--ground) } #all { padding: .2rem .7rem; border: 1px solid var(--line) }
th[aria-sort=ascending] button::after { content: " ▲" } th[aria-sort=descending] button::after { content: " ▼" }
td button { font-family: ui-monospace, monospace; text-align: left } td button::before { content: "▸ " }
  td button[aria-expanded=true]::before { content: "▾ " }
:focus-visible { outline: 2px solid var(--focus); outline-offset: 1px }
.share { display: inline-block; width: 3rem; height: .7rem; margin-right: .5rem; background: var(--ground) }
  .share i { display: block; height: 100%; background: var(--c) }
tr.more td { padding: .75rem 1rem 1.25rem; text-align: left; white-space: normal; background: var(--ground) }
tr.more div { width: 0; min-width: 100% } tr.more ul { list-style: none } tr.more p { margin: 0 0 .3rem }
pre { overflow-x: auto; margin: .75rem 0 0; padding: .9rem 1rem; border: 1px solid var(--line); border-radius: 8px;
  background: var(--card); font: .82rem/1.5 ui-monospace, monospace }
code { font-family: ui-monospace, monospace; font-size: .88rem } pre .k { color: var(--g1) } pre .c, pre .p { color: var(--soft) }
.note { margin-top: 1rem; font-size: .85rem }
@media (max-width: 40rem) { .chart li { grid-template-columns: 1fr 5.5rem } .chart .bar { grid-column: 1 / 3; grid-row: 2 }
  .chart small { grid-column: 1 / 3 } .bars { grid-template-columns: 1fr } }
@media print { tr.more[hidden] { display: table-row } button::before, #all { display: none } }
"""

SCRIPT = """
const table = document.getElementById("kernels");
const show = (button, open) => {
  button.setAttribute("aria-expanded", open);
  document.getElementById(button.getAttribute("aria-controls")).hidden = !open;
};
const names = [...table.querySelectorAll("td button")];
names.forEach(button => button.addEventListener("click", () => show(button, button.getAttribute("aria-expanded") !== "true")));
const all = document.getElementById("all");
all.addEventListener("click", () => {
  const open = all.textContent === "Open all";
  names.forEach(button => show(button, open));
  all.textContent = open ? "Close all" : "Open all";
});
const heads = [...table.querySelectorAll("th")];
heads.forEach((head, i) => head.querySelector("button").addEventListener("click", () => {
  const numbers = i === 0 || i > 3, now = head.getAttribute("aria-sort");
  const up = now ? now === "descending" : !numbers || i === 0;
  heads.forEach(other => other.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", up ? "ascending" : "descending");
  const value = body => body.rows[0].cells[i].dataset.v;
  const order = (a, b) => numbers ? value(a) - value(b) : value(a).localeCompare(value(b));
  table.append(...[...table.tBodies].sort((a, b) => up ? order(a, b) : order(b, a)));
}));
const follow = () => {
  const button = document.querySelector(location.hash.match(/^#k\\d+$/) ? location.hash + " td button" : "#none");
  if (button) { show(button, true); button.focus(); button.scrollIntoView({ block: "center" }); }
};
addEventListener("hashchange", follow);
follow();
"""
