"""Reads Prometheus' text format on standard input by the parser of Prometheus' own Python client.

Fails, with what is wrong, where a name, a type or a histogram is not as Prometheus wants it; prints
how many families there are. `tests/metrics.rs` runs it.
"""

import sys

from prometheus_client.parser import text_string_to_metric_families

text = sys.stdin.read()
families = list(text_string_to_metric_families(text))
wrong = []
seen = set()
for family in families:
    if not family.name.startswith(("jumpvisor_", "process_")):
        wrong.append(f"{family.name}: foreign prefix")
    if family.type not in ("counter", "gauge", "histogram") or not family.documentation.endswith("."):
        wrong.append(f"{family.name}: type {family.type}, help {family.documentation!r}")
    buckets, counts, sums = {}, {}, {}
    for sample in family.samples:
        labels = {key: value for key, value in sample.labels.items() if key != "le"}
        key = (sample.name, tuple(sorted(sample.labels.items())))
        if key in seen:
            wrong.append(f"{key} twice")
        seen.add(key)
        if family.type == "counter" and not sample.name.endswith("_total"):
            wrong.append(f"{sample.name}: a counter ends in _total")
        series = tuple(sorted(labels.items()))
        if sample.name.endswith("_bucket"):
            buckets.setdefault(series, []).append((float(sample.labels["le"]), sample.value))
        elif sample.name.endswith("_count"):
            counts[series] = sample.value
        elif sample.name.endswith("_sum"):
            sums[series] = sample.value
    if family.type != "histogram":
        continue
    for series, all_of in buckets.items():
        bounds = [bound for bound, _ in all_of]
        values = [value for _, value in all_of]
        if bounds != sorted(bounds) or values != sorted(values) or bounds[-1] != float("inf"):
            wrong.append(f"{family.name}{series}: buckets {all_of}")
        if values[-1] != counts.get(series) or sums.get(series, -1) < 0:
            wrong.append(f"{family.name}{series}: count {counts.get(series)}, sum {sums.get(series)}")
    if not buckets or set(buckets) != set(counts) or set(buckets) != set(sums):
        wrong.append(f"{family.name}: no series, or not of all three sorts")
if wrong:
    sys.exit("\n".join(wrong))
print(len(families))
