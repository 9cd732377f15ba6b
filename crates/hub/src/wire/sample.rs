//! Arbitrary messages for property tests, made from arbitrary bytes.

use bytes::Bytes;
use proptest::prelude::*;

use super::{Encoding, Map, MapEntry};

/// Types that can be made from arbitrary bytes.
pub(super) trait Sample: Sized {
    /// Makes a value. When the bytes run out, it is a zero.
    fn sample(source: &mut Source) -> Self;
}

/// Returns arbitrary messages whose payloads `encoding` can carry.
pub(super) fn samples<T: Sample + std::fmt::Debug>(encoding: Encoding) -> impl Strategy<Value = T> {
    prop::collection::vec(any::<u8>(), 0..2048).prop_map(move |bytes| {
        T::sample(&mut Source {
            bytes: bytes.into_iter(),
            encoding,
            depth: 0,
        })
    })
}

/// The bytes that decide.
pub(super) struct Source {
    bytes: std::vec::IntoIter<u8>,
    encoding: Encoding,
    /// Messages around the one that is being made.
    depth: u32,
}

impl Source {
    /// Makes a message.
    pub(super) fn message<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> T {
        self.depth += 1;
        let message = make(self);
        self.depth -= 1;
        message
    }

    fn byte(&mut self) -> u8 {
        self.bytes.next().unwrap_or(0)
    }

    /// Returns an integer: often a small one, sometimes one at the end of its range.
    fn integer(&mut self) -> u64 {
        match self.byte() % 8 {
            0..=2 => 0,
            3..=4 => self.byte().into(),
            5 => u64::MAX,
            6 => u64::MAX >> 1,
            _ => u64::from_le_bytes(std::array::from_fn(|_| self.byte())),
        }
    }
}

impl Sample for bool {
    fn sample(source: &mut Source) -> Self {
        source.byte() % 2 == 1
    }
}

macro_rules! integers {
    ($($type:ty),*) => {$(
        impl Sample for $type {
            #[allow(clippy::cast_possible_truncation, trivial_numeric_casts, reason = "any bits will do")]
            fn sample(source: &mut Source) -> Self {
                source.integer() as $type
            }
        }
    )*};
}

integers!(i32, i64, u32, u64);

impl Sample for String {
    fn sample(source: &mut Source) -> Self {
        let characters = [
            'a', 'Z', '0', ' ', '"', '\\', '\n', '\r', '\t', '\0', '\u{7f}', '\u{2028}', 'é', '漢',
            '😀', '<',
        ];
        let length = source.byte() % 8;
        (0..length)
            .map(|_| characters[usize::from(source.byte()) % characters.len()])
            .collect()
    }
}

impl Sample for Bytes {
    fn sample(source: &mut Source) -> Self {
        let values = [
            "",
            "null",
            "0",
            "-1.50e+3",
            "123456789012345678901234567890",
            r#""""#,
            r#""\ud800\n""#,
            "\"\u{2028}漢\"",
            "[]",
            "[ 1 ,\t2 ]",
            r#"{"a":{"b":[true,false,null]},"a":1}"#,
        ];
        match source.encoding {
            Encoding::Json => values[usize::from(source.byte()) % values.len()].into(),
            Encoding::Protobuf => {
                let length = source.byte() % 8;
                (0..length).map(|_| source.byte()).collect()
            }
        }
    }
}

impl<T: Sample> Sample for Option<T> {
    fn sample(source: &mut Source) -> Self {
        if source.byte() % 4 != 1 || source.depth == DEPTH_MAX {
            return None;
        }
        Some(T::sample(source))
    }
}

impl<T: Sample> Sample for Vec<T> {
    fn sample(source: &mut Source) -> Self {
        if source.depth == DEPTH_MAX {
            return Self::new();
        }
        let length = source.byte() % 4;
        (0..length).map(|_| T::sample(source)).collect()
    }
}

impl<E: MapEntry<Value: Sample>> Sample for Map<E> {
    fn sample(source: &mut Source) -> Self {
        if source.depth == DEPTH_MAX {
            return Self::default();
        }
        let length = source.byte() % 4;
        (0..length)
            .map(|_| (String::sample(source), E::Value::sample(source)))
            .collect()
    }
}

/// Messages within messages. Deep enough for a filter with some levels in a connect command.
const DEPTH_MAX: u32 = 12;
