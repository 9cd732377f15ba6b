//! Values that are one of a few words, as the options of channels name them.

use sockeye_hub::namespace::{PublicationDataFormat, RecoveryMode};

use super::shape::Shape;

/// Parses a recovery mode.
pub(super) fn recovery_mode(text: &str) -> Result<RecoveryMode, String> {
    match text {
        "stream" => Ok(RecoveryMode::Stream),
        "cache" => Ok(RecoveryMode::Cache),
        _ => Err(Shape::RecoveryMode.refuse(text)),
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
