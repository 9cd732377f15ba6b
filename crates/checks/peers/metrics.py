"""PyPI `prometheus-client` parses what the server counts: prints it, one line of JSON per fact.

python metrics.py http://HOST:PORT/metrics KEY
"""

import json
import sys
from urllib.request import Request, urlopen

from prometheus_client.parser import text_string_to_metric_families

url, key = sys.argv[1:3]
with urlopen(Request(url, headers={"Authorization": f"apikey {key}"})) as response:
    text = response.read().decode()
families = list(text_string_to_metric_families(text))
samples = {}
for family in families:
    for sample in family.samples:
        identity = (sample.name, tuple(sorted(sample.labels.items())))
        assert identity not in samples, f"{identity} is there twice"
        samples[identity] = sample.value
print(json.dumps({
    "fact": "metrics",
    "types": {family.name: family.type for family in families},
    "without_help": [family.name for family in families if not family.documentation],
    "names": sorted({name for name, _ in samples}),
    "clients": samples[("sockeye_node_num_clients", ())],
    # A histogram's buckets rise, and the last holds all.
    "wrong_histograms": [
        family.name for family in families if family.type == "histogram"
        for labels in {tuple(sorted((k, v) for k, v in s.labels.items() if k != "le")) for s in family.samples}
        if (buckets := [s.value for s in family.samples if s.name.endswith("_bucket")
                        and tuple(sorted((k, v) for k, v in s.labels.items() if k != "le")) == labels]) != sorted(buckets)
        or buckets[-1] != samples[(f"{family.name}_count", labels)]
    ],
}))
