"""The figures of a comparison as a picture."""
import textwrap
from xml.etree import ElementTree

import load

BAR, GAP, LABEL, WIDTH, FIGURE = 14, 4, 170, 420, 110


def bars(middles, told):
    """An SVG: for each kind of work a bar for each server, as long as its share of the most requests per second.

    A line on it reaches from the least to the greatest of its rounds, and its figures stand beside it.
    """
    svg = ElementTree.Element("svg", {"xmlns": "http://www.w3.org/2000/svg", "font-family": "sans-serif", "font-size": "11"})
    y = 20
    for work, by_name in middles.items():
        text(svg, 0, y, f"{work}: {load.ALL[work].title}", {"font-weight": "bold"})
        y += 8
        most = max(max(figures["rates"]) for figures in by_name.values())
        for name, figures in by_name.items():
            colour = "#2a6f97" if name.startswith("ours") else "#bbbbbb"
            length = WIDTH * figures["rate"] / most
            ElementTree.SubElement(svg, "rect", {"x": str(LABEL), "y": str(y), "width": f"{length:.1f}", "height": str(BAR), "fill": colour})
            least, greatest = (f"{LABEL + WIDTH * rate / most:.1f}" for rate in (min(figures["rates"]), max(figures["rates"])))
            middle = str(y + BAR / 2)
            ElementTree.SubElement(svg, "line", {"x1": least, "x2": greatest, "y1": middle, "y2": middle, "stroke": "#333333"})
            text(svg, LABEL - 6, y + BAR - 3, name, {"text-anchor": "end"})
            text(svg, float(greatest) + 5, y + BAR - 3, f"{figures['rate']:,.0f}/s, {figures['cpu']:,.0f} µs")
            y += BAR + GAP
        y += 26
    for line in textwrap.wrap(f"Requests per second (line: least to greatest of the rounds), CPU time of the whole server for each. {told}.", 105):
        text(svg, 0, y, line)
        y += 15
    svg.set("viewBox", f"0 0 {LABEL + WIDTH + FIGURE} {y + 10}")
    ElementTree.indent(svg)
    return ElementTree.tostring(svg, encoding="unicode") + "\n"


def text(svg, x, y, words, more=()):
    ElementTree.SubElement(svg, "text", {"x": f"{x:.1f}", "y": str(y), **dict(more)}).text = words


def told(made_by):
    """What the picture says of how it was made."""
    machine = made_by["machine"]
    peers = sorted(set(made_by["peers"]))
    return (f"Commit {machine['commit']}, {machine['processors']} processors, Linux {machine['kernel']}, httpd {machine['httpd']}, "
            f"nginx {machine['nginx']}, CPython {machine['python']}, {', '.join(peers)}")
