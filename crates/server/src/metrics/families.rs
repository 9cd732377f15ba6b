//! Metric families, one after the other, as the encoder takes them.

use std::time::Duration;

use prometheus::proto::{
    Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType,
};
use sockeye_hub::metrics::DurationHistogram;

/// The families of one answer. A family without metrics is left out.
pub(super) struct Families<'a> {
    prefix: &'a str,
    families: Vec<MetricFamily>,
}

/// The labels of a metric: names with values.
pub(super) type Labels<'a> = Vec<(&'static str, &'a str)>;

impl<'a> Families<'a> {
    /// Begins with families whose names have `prefix` and an underscore before them.
    pub(super) fn new(prefix: &'a str) -> Self {
        Self {
            prefix,
            families: Vec::new(),
        }
    }

    /// Adds what only grows.
    pub(super) fn counters<'b>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels<'b>, f64)>,
    ) {
        let metrics = values.into_iter().map(|(labels, value)| {
            let mut counter = Counter::default();
            counter.set_value(value);
            let mut metric = Metric::from_label(pairs(labels));
            metric.set_counter(counter);
            metric
        });
        self.add(name, help, MetricType::COUNTER, metrics.collect());
    }

    /// Adds one number that only grows.
    pub(super) fn counter(&mut self, name: &str, help: &str, value: f64) {
        self.counters(name, help, [(Labels::new(), value)]);
    }

    /// Adds what grows and shrinks.
    pub(super) fn gauges<'b>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels<'b>, f64)>,
    ) {
        let metrics = values.into_iter().map(|(labels, value)| {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            let mut metric = Metric::from_label(pairs(labels));
            metric.set_gauge(gauge);
            metric
        });
        self.add(name, help, MetricType::GAUGE, metrics.collect());
    }

    /// Adds one number that grows and shrinks.
    pub(super) fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.gauges(name, help, [(Labels::new(), value)]);
    }

    /// Adds durations.
    pub(super) fn histograms<'b>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels<'b>, &'b DurationHistogram)>,
    ) {
        let metrics = values.into_iter().map(|(labels, durations)| {
            let buckets = durations.buckets.iter().map(|(bound, count)| {
                let mut bucket = Bucket::default();
                bucket.set_upper_bound(seconds(*bound));
                bucket.set_cumulative_count(*count);
                bucket
            });
            let mut histogram = Histogram::default();
            histogram.set_bucket(buckets.collect());
            histogram.set_sample_count(durations.count);
            histogram.set_sample_sum(seconds(durations.sum));
            let mut metric = Metric::from_label(pairs(labels));
            metric.set_histogram(histogram);
            metric
        });
        self.add(name, help, MetricType::HISTOGRAM, metrics.collect());
    }

    /// Adds a family whose name has no prefix: one that every process has under the same name.
    pub(super) fn process(&mut self, name: &str, help: &str, kind: MetricType, value: f64) {
        let mut metric = Metric::from_label(Vec::new());
        if kind == MetricType::COUNTER {
            let mut counter = Counter::default();
            counter.set_value(value);
            metric.set_counter(counter);
        } else {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            metric.set_gauge(gauge);
        }
        self.push(name.to_owned(), help, kind, vec![metric]);
    }

    /// Adds families that were made elsewhere, with their whole names.
    pub(super) fn extend(&mut self, families: Vec<MetricFamily>) {
        let families = families.into_iter();
        let filled = families.filter(|family| !family.get_metric().is_empty());
        self.families.extend(filled);
    }

    pub(super) fn into_vec(self) -> Vec<MetricFamily> {
        self.families
    }

    fn add(&mut self, name: &str, help: &str, kind: MetricType, metrics: Vec<Metric>) {
        self.push(format!("{}_{name}", self.prefix), help, kind, metrics);
    }

    fn push(&mut self, name: String, help: &str, kind: MetricType, metrics: Vec<Metric>) {
        if metrics.is_empty() {
            return;
        }
        let mut family = MetricFamily::default();
        family.set_name(name);
        family.set_help(help.to_owned());
        family.set_field_type(kind);
        family.set_metric(metrics);
        self.families.push(family);
    }
}

fn pairs(labels: Labels<'_>) -> Vec<LabelPair> {
    let pairs = labels.into_iter().map(|(name, value)| {
        let mut pair = LabelPair::default();
        pair.set_name(name.to_owned());
        pair.set_value(value.to_owned());
        pair
    });
    pairs.collect()
}

pub(super) fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}
