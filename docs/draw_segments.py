"""Draw the pictures of the pages on segments: `python docs/draw_segments.py ../shared/data`."""

import csv
import sys
from datetime import UTC, datetime
from pathlib import Path

import matplotlib as mpl

mpl.use("agg")
import matplotlib.pyplot as plt
import networkx as nx

from userops.segments import Survival, active_states, choose_seeds

OUT = Path(__file__).parent / "_static"


def day(text: str) -> datetime:
    """Return a date as midnight UTC."""
    return datetime.strptime(text, "%Y%m%d").replace(tzinfo=UTC)


def karate() -> None:
    """Draw the karate club with three seeds and whom each adds."""
    graph = nx.karate_club_graph()
    seeds = choose_seeds({node: list(graph[node]) for node in graph}, 3)
    colour = dict.fromkeys(graph, "0.85")
    for seed, mine in zip(seeds, ("tab:blue", "tab:orange", "tab:green"), strict=True):
        for node in [seed, *graph[seed]]:
            colour[node] = mine if colour[node] == "0.85" else colour[node]
    figure, ax = plt.subplots(figsize=(7, 5))
    place = nx.spring_layout(graph, seed=4)
    nx.draw_networkx_edges(graph, place, ax=ax, edge_color="0.8")
    sizes = [700 if node in seeds else 250 for node in graph]
    nx.draw_networkx_nodes(graph, place, ax=ax, node_color=[colour[node] for node in graph], node_size=sizes)
    nx.draw_networkx_labels(graph, place, ax=ax, font_size=8)
    ax.set_title("Three seeds (large) and whom each adds: 33 of 34; grey is not reached", fontsize=10)
    ax.axis("off")
    figure.savefig(OUT / "karate-seeds.png", dpi=110, bbox_inches="tight")


def complaints(folder: Path) -> None:
    """Draw the days from failure to complaint."""
    with (folder / "nhtsa_complaints.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["fail_date"].strip() > "1950"]
    days = [float((day(row["received_date"]) - day(row["fail_date"])).days) for row in rows]
    figure, ax = plt.subplots(figsize=(7, 3.6))
    Survival(tuple(days), (True,) * len(days)).plot(ax)
    ax.set_xlim(0, 730)
    ax.set_xlabel("days since the failure")
    ax.set_ylabel("share not yet complaining")
    ax.set_title(f"{len(days)} owners who did complain: half of them within three weeks", fontsize=10)
    ax.grid(alpha=0.3)
    figure.savefig(OUT / "complaints-nhtsa.png", dpi=110, bbox_inches="tight")


def cdnow(folder: Path) -> None:
    """Draw the active customers of CDNOW."""
    rows = [line.split() for line in (folder / "cdnow_sample.txt").read_text(encoding="utf-8").splitlines()]
    ax = active_states([(row[1], day(row[2])) for row in rows], "month", new="history").plot()
    ax.set_ylabel("customers")
    ax.set_title("All are new in the first quarter: the sample is one cohort", fontsize=10)
    ax.figure.savefig(OUT / "cdnow-active.png", dpi=110, bbox_inches="tight")


if __name__ == "__main__":
    OUT.mkdir(exist_ok=True)
    karate()
    complaints(Path(sys.argv[1]))
    cdnow(Path(sys.argv[1]))
