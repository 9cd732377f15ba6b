//! One field of a message in JSON: when it is left out, and what `null` means.

use std::{fmt, marker::PhantomData};

use bytes::Bytes;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, DeserializeSeed, IgnoredAny, MapAccess, Visitor},
    ser,
};
use serde_json::value::RawValue;

use super::payload::{NotJson, without_line_ends};

/// Types of fields. JSON leaves a field out when it is zero, and reads `null` as zero, except for payloads.
pub(super) trait JsonField: Sized {
    /// Returns whether the value is the one that an absent field stands for.
    fn is_zero(&self) -> bool;

    /// Writes the value.
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error>;

    /// Reads the value of a field that is there.
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error>;
}

/// Keeps a field in JSON when its value is zero.
pub(super) const ALWAYS: bool = true;

/// A field's value as serde wants it.
pub(super) struct AsJson<'a, T>(pub(super) &'a T);

impl<T: JsonField> Serialize for AsJson<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.write(serializer)
    }
}

/// Returns a field's name as JSON has it: `r#pub` and `r#type` are Rust's spelling.
pub(super) fn wire_name(field: &'static str) -> &'static str {
    field.strip_prefix("r#").unwrap_or(field)
}

/// Implements the trait for types that serde reads and writes as they are.
macro_rules! plain_fields {
    ($($type:ty),*) => {$(
        impl JsonField for $type {
            fn is_zero(&self) -> bool {
                *self == Self::default()
            }

            fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.serialize(serializer)
            }

            fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                or_zero(deserializer)
            }
        }
    )*};
}

plain_fields!(bool, i32, i64, u32, u64, String);

impl<T: Serialize + for<'de> Deserialize<'de>> JsonField for Option<T> {
    fn is_zero(&self) -> bool {
        self.is_none()
    }

    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.serialize(serializer)
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::deserialize(deserializer)
    }
}

impl<T: Serialize + for<'de> Deserialize<'de>> JsonField for Vec<T> {
    fn is_zero(&self) -> bool {
        self.is_empty()
    }

    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.serialize(serializer)
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        or_zero(deserializer)
    }
}

/// A payload: the JSON value itself, not a string that holds it.
impl JsonField for Bytes {
    fn is_zero(&self) -> bool {
        self.is_empty()
    }

    /// Writes the payload without line ends, because a line end would split the frame.
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value: &RawValue =
            serde_json::from_slice(self).map_err(|_| ser::Error::custom(NotJson))?;
        match without_line_ends(value.get()) {
            None => value.serialize(serializer),
            Some(text) => RawValue::from_string(text)
                .map_err(|_| ser::Error::custom(NotJson))?
                .serialize(serializer),
        }
    }

    /// Reads the value as it stands, without blanks around it. `null` is a value.
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Box::<RawValue>::deserialize(deserializer)?;
        Ok(Self::from(Box::<str>::from(value).into_boxed_bytes()))
    }
}

/// Reads a value, and `null` as its zero.
fn or_zero<'de, T: Deserialize<'de> + Default, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Messages as JSON objects. serde's derive isn't used, because it also reads an array as an object.
pub(super) trait JsonObject: Default {
    /// Number and name of each field.
    const FIELDS: &'static [(u32, &'static str)];

    /// Reads the value of the field `number` from `object`.
    fn read_field<'de, A: MapAccess<'de>>(
        &mut self,
        number: u32,
        object: &mut A,
    ) -> Result<(), A::Error>;
}

/// Reads a message. Of fields that are there twice the last one counts, unknown ones are ignored.
pub(super) struct ObjectVisitor<T>(PhantomData<T>);

impl<T> ObjectVisitor<T> {
    pub(super) fn new() -> Self {
        Self(PhantomData)
    }
}

impl<'de, T: JsonObject> Visitor<'de> for ObjectVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<T, A::Error> {
        let mut message = T::default();
        while let Some(number) = object.next_key_seed(FieldName(T::FIELDS))? {
            match number {
                Some(number) => message.read_field(number, &mut object)?,
                None => {
                    object.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(message)
    }
}

/// Reads a field's name, and finds its number.
struct FieldName(&'static [(u32, &'static str)]);

impl<'de> DeserializeSeed<'de> for FieldName {
    type Value = Option<u32>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<u32>, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for FieldName {
    type Value = Option<u32>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Option<u32>, E> {
        let field = self.0.iter().find(|(_, field)| wire_name(field) == name);
        Ok(field.map(|(number, _)| *number))
    }
}

/// Reads the value of a field.
pub(super) fn read_value<'de, T: JsonField, A: MapAccess<'de>>(
    object: &mut A,
) -> Result<T, A::Error> {
    object.next_value_seed(FieldValue(PhantomData))
}

/// Reads a field's value as [`JsonField::read`] does.
struct FieldValue<T>(PhantomData<T>);

impl<'de, T: JsonField> DeserializeSeed<'de> for FieldValue<T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        T::read(deserializer)
    }
}
