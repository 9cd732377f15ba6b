//! Map fields, whose entries are written whole.

use std::{
    collections::BTreeMap,
    fmt,
    ops::{Deref, DerefMut},
    slice,
};

use prost::Message;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::json_field::JsonField;

/// A map field: a list of entries, as Protobuf has it. Of several entries with one key the last counts.
///
/// Protobuf has the key and the value of each entry also where they are zero, as other implementations write them. The
/// library's own maps leave them out, and SDKs for Go and JavaScript fail at an entry without a value.
///
/// ```
/// use sockeye_hub::wire::{Map, TextEntry};
///
/// let tags: Map<TextEntry> = [("room".to_owned(), "7".to_owned())].into_iter().collect();
/// assert_eq!(tags.to_map()["room"], "7");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Map<E>(Vec<E>);

/// An entry of a map.
pub trait MapEntry {
    /// What the key leads to.
    type Value;

    /// Makes an entry.
    fn new(key: String, value: Self::Value) -> Self;

    /// Returns its key.
    fn key(&self) -> &str;

    /// Returns its value.
    fn value(&self) -> &Self::Value;

    /// Returns its value, to be changed.
    fn value_mut(&mut self) -> &mut Self::Value;

    /// Returns the key and the value.
    fn into_pair(self) -> (String, Self::Value);
}

/// An entry whose value is a message.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct MessageEntry<T: Message + fmt::Debug + Default> {
    #[prost(string, required, tag = 1)]
    key: String,
    #[prost(message, required, tag = 2)]
    value: T,
}

/// An entry whose value is text.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct TextEntry {
    #[prost(string, required, tag = 1)]
    key: String,
    #[prost(string, required, tag = 2)]
    value: String,
}

impl<E: MapEntry> Map<E> {
    /// Returns the values by their keys.
    #[must_use]
    pub fn to_map(&self) -> BTreeMap<&str, &E::Value> {
        let entries = self.0.iter();
        entries.map(|entry| (entry.key(), entry.value())).collect()
    }

    /// Returns the values by their keys.
    #[must_use]
    pub fn into_map(self) -> BTreeMap<String, E::Value> {
        self.0.into_iter().map(E::into_pair).collect()
    }

    /// Returns all values.
    pub fn values(&self) -> impl Iterator<Item = &E::Value> {
        self.0.iter().map(E::value)
    }

    /// Returns all values, to be changed.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut E::Value> {
        self.0.iter_mut().map(E::value_mut)
    }
}

impl<E> Default for Map<E> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// Makes a map whose keys are in order, each once.
impl<E: MapEntry> FromIterator<(String, E::Value)> for Map<E> {
    fn from_iter<I: IntoIterator<Item = (String, E::Value)>>(entries: I) -> Self {
        BTreeMap::from_iter(entries).into()
    }
}

impl<E: MapEntry> From<BTreeMap<String, E::Value>> for Map<E> {
    fn from(map: BTreeMap<String, E::Value>) -> Self {
        let entries = map.into_iter();
        Self(entries.map(|(key, value)| E::new(key, value)).collect())
    }
}

// What the code that is derived for repeated messages needs: it adds an entry to a vector, and visits all.
impl<E> Deref for Map<E> {
    type Target = Vec<E>;

    fn deref(&self) -> &Vec<E> {
        &self.0
    }
}

impl<E> DerefMut for Map<E> {
    fn deref_mut(&mut self) -> &mut Vec<E> {
        &mut self.0
    }
}

impl<'a, E> IntoIterator for &'a Map<E> {
    type Item = &'a E;
    type IntoIter = slice::Iter<'a, E>;

    fn into_iter(self) -> slice::Iter<'a, E> {
        self.0.iter()
    }
}

impl<E: MapEntry<Value: fmt::Debug>> fmt::Debug for Map<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_map().fmt(f)
    }
}

impl<E: MapEntry<Value: Serialize + for<'de> Deserialize<'de>>> JsonField for Map<E> {
    fn is_zero(&self) -> bool {
        self.0.is_empty()
    }

    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_map().serialize(serializer)
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let map: Option<BTreeMap<String, E::Value>> = Option::deserialize(deserializer)?;
        Ok(map.unwrap_or_default().into())
    }
}

/// Implements the trait for a type with a key and a value.
macro_rules! entries {
    ($([$($generic:tt)*] $entry:ty => $value:ty;)*) => {$(
        impl $($generic)* MapEntry for $entry {
            type Value = $value;

            fn new(key: String, value: $value) -> Self {
                Self { key, value }
            }

            fn key(&self) -> &str {
                &self.key
            }

            fn value(&self) -> &$value {
                &self.value
            }

            fn value_mut(&mut self) -> &mut $value {
                &mut self.value
            }

            fn into_pair(self) -> (String, $value) {
                (self.key, self.value)
            }
        }
    )*};
}

entries! {
    [<T: Message + fmt::Debug + Default>] MessageEntry<T> => T;
    [] TextEntry => String;
}
