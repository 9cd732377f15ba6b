//! The keys of `/metrics`.

use clap::Args;

use crate::config::{MetricPrefix, Section, Switch, Text, UrlPath};

/// The section of metrics.
#[derive(Clone, Debug)]
pub(crate) struct InPrometheus;

impl Section for InPrometheus {
    const PATH: &'static str = "prometheus";
}

/// The metrics in Prometheus' text format.
#[derive(Args, Clone, Debug)]
pub(crate) struct PrometheusKeys {
    /// Serve what the server counts, for Prometheus
    #[arg(long, value_name = "on|off", default_value = "off")]
    pub(crate) enabled: Switch,

    /// Path of the metrics
    #[arg(long, value_name = "PATH", default_value = "/metrics")]
    pub(crate) handler_prefix: UrlPath,

    /// What the names of the metrics begin with. With centrifugo, dashboards made for Centrifugo work
    #[arg(long, value_name = "NAME", default_value = "sockeye")]
    pub(crate) name_prefix: MetricPrefix,

    /// Ask for the key of the server API (http_api.key), as in Authorization: apikey KEY. Use `off` only where nothing but
    /// Prometheus can reach the path
    #[arg(long, value_name = "on|off", default_value = "on")]
    pub(crate) require_key: Switch,

    /// Names by which metrics tell clients apart, as the clients send them when they connect. All others count as
    /// unregistered. May be given many times, and replaces the default
    #[arg(
        long,
        value_name = "NAME",
        value_delimiter = ',',
        default_values = ["js", "go", "python", "dart", "swift", "java", "csharp", "rust"]
    )]
    pub(crate) registered_client_names: Vec<Text>,
}
