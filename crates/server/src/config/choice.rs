//! Values of the hub that are one of a few words.

use sockeye_hub::{
    broker::LogSync,
    namespace::{DeltaType, PublicationDataFormat, RecoveryMode, SlowReader, SubscriptionType},
};

use super::shape::Shape;

/// Parses a recovery mode.
pub(super) fn recovery_mode(text: &str) -> Result<RecoveryMode, String> {
    match text {
        "stream" => Ok(RecoveryMode::Stream),
        "cache" => Ok(RecoveryMode::Cache),
        _ => Err(Shape::RecoveryMode.refuse(text)),
    }
}

/// Parses what happens to a subscriber that reads too slowly.
pub(super) fn slow_reader(text: &str) -> Result<SlowReader, String> {
    match text {
        "disconnect" => Ok(SlowReader::Disconnect),
        "drop-oldest" => Ok(SlowReader::DropOldest),
        "latest-only" => Ok(SlowReader::LatestOnly),
        _ => Err(Shape::SlowReader.refuse(text)),
    }
}

/// Parses what the subscriptions to channels are.
pub(super) fn subscription_type(text: &str) -> Result<SubscriptionType, String> {
    match text {
        "stream" => Ok(SubscriptionType::Stream),
        "map" => Ok(SubscriptionType::Map),
        "map_clients" => Ok(SubscriptionType::MapClients),
        "map_users" => Ok(SubscriptionType::MapUsers),
        _ => Err(Shape::SubscriptionType.refuse(text)),
    }
}

/// Parses a kind of delta compression.
pub(super) fn delta_type(text: &str) -> Result<DeltaType, String> {
    match text {
        "fossil" => Ok(DeltaType::Fossil),
        _ => Err(Shape::DeltaType.refuse(text)),
    }
}

/// Parses what a publication's data must be.
pub(super) fn data_format(text: &str) -> Result<PublicationDataFormat, String> {
    match text {
        "not_empty" => Ok(PublicationDataFormat::NotEmpty),
        "json" => Ok(PublicationDataFormat::Json),
        "json_object" => Ok(PublicationDataFormat::JsonObject),
        "binary" => Ok(PublicationDataFormat::Binary),
        _ => Err(Shape::DataFormat.refuse(text)),
    }
}

/// Parses when the hub's log is on the disk.
pub(super) fn log_sync(text: &str) -> Result<LogSync, String> {
    match text {
        "none" => Ok(LogSync::None),
        "interval" => Ok(LogSync::Interval),
        "each" => Ok(LogSync::Each),
        _ => Err(Shape::LogSync.refuse(text)),
    }
}
