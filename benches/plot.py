"""The figures of a comparison as a picture."""
from xml.etree import ElementTree

import load

BAR, GAP, LABEL, WIDTH, FIGURE = 14, 4, 170, 420, 110


def bars(middles, told):
    """An SVG: for each kind of work a bar for each server, as long as its share of the most requests per second.

    Its figures stand beside it.
    """
    svg = ElementTree.Element("svg", {"xmlns": "http://www.w3.org/2000/svg", "font-family": "sans-serif", "font-size": "11"})
    y = 20
    for work, by_name in middles.items():
        text(svg, 0, y, f"{work}: {load.ALL[work].title}", {"font-weight": "bold"})
        y += 8
        most = max(figures["rate"] for figures in by_name.values())
        for name, figures in by_name.items():
            colour = "#2a6f97" if name.startswith("ours") else "#bbbbbb"
            length = WIDTH * figures["rate"] / most
            ElementTree.SubElement(svg, "rect", {"x": str(LABEL), "y": str(y), "width": f"{length:.1f}", "height": str(BAR), "fill": colour})
            text(svg, LABEL - 6, y + BAR - 3, name, {"text-anchor": "end"})
            text(svg, LABEL + length + 5, y + BAR - 3, f"{figures['rate']:,.0f}/s, {figures['cpu']:,.0f} µs")
            y += BAR + GAP
        y += 26
    text(svg, 0, y, f"Requests per second, CPU time of the whole server for each. {told}.")
    svg.set("viewBox", f"0 0 {LABEL + WIDTH + FIGURE} {y + 10}")
    ElementTree.indent(svg)
    return ElementTree.tostring(svg, encoding="unicode") + "\n"


def text(svg, x, y, words, more=()):
    ElementTree.SubElement(svg, "text", {"x": f"{x:.1f}", "y": str(y), **dict(more)}).text = words
