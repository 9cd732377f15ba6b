//! The header fields of a request, packed until a map of them is asked for.

use std::{fmt, sync::OnceLock};

use http::{HeaderMap, HeaderName, HeaderValue};
use sockeye_proto::handshake::Header;

/// The header fields of a request. They are packed as they came until the program asks for a map. Most programs don't
/// ask, and filling a map costs more than reading the head.
#[derive(Clone, Default)]
pub(crate) struct Fields {
    /// For each field: the length of the name (2 bytes) and of the value (4 bytes), the name, the value. Empty if the
    /// value was made from a map.
    packed: Vec<u8>,
    map: OnceLock<HeaderMap>,
}

impl Fields {
    /// Packs the fields of a head, with `authority` in place of `Host` (RFC 9112 section 3.2.2). Returns `None` if they
    /// are too many or too long for a map.
    pub(crate) fn pack(fields: &[Header<'_>], authority: Option<&str>) -> Option<Self> {
        if fields.len() > FIELDS_MAX {
            return None;
        }
        let bytes = |field: &Header<'_>| LENGTHS_BYTES + field.name.len() + field.value.len();
        let mut packed = Vec::with_capacity(fields.iter().map(bytes).sum());
        for field in fields {
            let value = match authority {
                Some(host) if field.name.eq_ignore_ascii_case("host") => host.as_bytes(),
                _ => field.value,
            };
            let name_len = u16::try_from(field.name.len()).ok()?;
            let value_len = u32::try_from(value.len()).ok()?;
            packed.extend_from_slice(&name_len.to_le_bytes());
            packed.extend_from_slice(&value_len.to_le_bytes());
            packed.extend_from_slice(field.name.as_bytes());
            packed.extend_from_slice(value);
        }
        Some(Self {
            packed,
            map: OnceLock::new(),
        })
    }

    /// Returns all fields as a map, which the first call fills.
    pub(crate) fn map(&self) -> &HeaderMap {
        self.map.get_or_init(|| {
            let mut map = HeaderMap::new();
            for (name, value) in self.pairs() {
                let name = HeaderName::from_bytes(name);
                if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value)) {
                    map.append(name, value);
                }
            }
            map
        })
    }

    /// Returns the values of that name in their order.
    pub(crate) fn values<'a>(&'a self, name: &'a HeaderName) -> impl Iterator<Item = &'a [u8]> {
        let map = self.packed.is_empty().then(|| self.map());
        let mapped = map.into_iter().flat_map(move |map| map.get_all(name));
        let pairs = self
            .pairs()
            .filter(move |(other, _)| other.eq_ignore_ascii_case(name.as_str().as_bytes()));
        mapped
            .map(HeaderValue::as_bytes)
            .chain(pairs.map(|(_, value)| value))
    }

    /// Returns the names and values of the packed fields.
    fn pairs(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut rest = self.packed.as_slice();
        std::iter::from_fn(move || {
            let (name_len, after) = rest.split_first_chunk()?;
            let (value_len, after) = after.split_first_chunk()?;
            let (name, after) = after.split_at(u16::from_le_bytes(*name_len).into());
            let (value, after) = after.split_at(u32::from_le_bytes(*value_len) as usize);
            rest = after;
            Some((name, value))
        })
    }
}

impl From<HeaderMap> for Fields {
    fn from(map: HeaderMap) -> Self {
        Self {
            packed: Vec::new(),
            map: map.into(),
        }
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.map().fmt(f)
    }
}

/// Bytes. The two lengths before a name.
const LENGTHS_BYTES: usize = size_of::<u16>() + size_of::<u32>();

/// Fields. Half of what an `http::HeaderMap` takes.
const FIELDS_MAX: usize = 1 << 14;

#[cfg(test)]
mod tests {
    use http::header::{COOKIE, HOST, ORIGIN};
    use sockeye_proto::{Limits, handshake::RequestHead};

    use super::*;

    const FIELDS: [Header<'_>; 4] = [
        field("Host", b"a.example"),
        field("COOKIE", b"a=b"),
        field("X-Empty", b""),
        field("cookie", b"\xff:\t"),
    ];

    const fn field(name: &'static str, value: &'static [u8]) -> Header<'static> {
        Header { name, value }
    }

    #[test]
    fn packed_fields_are_the_same_as_their_map() {
        let packed = Fields::pack(&FIELDS, None).unwrap();
        let mapped = Fields::from(packed.map().clone());
        assert_eq!(mapped.map().len(), FIELDS.len());
        assert_eq!(mapped.map()["x-empty"], "");
        for fields in [&packed, &mapped] {
            let values = |name| fields.values(name).collect::<Vec<_>>();
            assert_eq!(values(&HOST), [b"a.example"]);
            assert_eq!(values(&COOKIE), [b"a=b".as_slice(), b"\xff:\t"]);
            assert!(values(&ORIGIN).is_empty());
        }
    }

    #[test]
    fn authority_stands_in_place_of_host() {
        let fields = Fields::pack(&FIELDS, Some("b.example:81")).unwrap();
        assert_eq!(fields.map()["host"], "b.example:81");
        assert_eq!(fields.map().len(), FIELDS.len());
    }

    #[test]
    fn what_no_map_takes_is_not_packed() {
        let name = "a".repeat(1 << 16);
        let long = Header {
            name: &name,
            value: b"",
        };
        assert!(Fields::pack(&[long], None).is_none());
        let many = Fields::pack(&vec![field("a", b""); FIELDS_MAX], None).unwrap();
        assert_eq!(many.map().get_all("a").iter().count(), FIELDS_MAX);
        assert!(Fields::pack(&vec![field("a", b""); FIELDS_MAX + 1], None).is_none());
    }

    #[test]
    fn every_byte_that_a_head_takes_can_stand_in_the_map() {
        for byte in 0..=u8::MAX {
            for head in [
                [b"GET / HTTP/1.1\r\na:b", [byte].as_slice(), b"c\r\n\r\n"].concat(),
                [b"GET / HTTP/1.1\r\na", [byte].as_slice(), b"c:b\r\n\r\n"].concat(),
            ] {
                let parsed = RequestHead::parse(&head, &Limits::default());
                if let Ok(Some((head, _))) = parsed {
                    let fields = Fields::pack(&head.headers, None).unwrap();
                    assert_eq!(fields.map().len(), head.headers.len(), "{byte}");
                }
            }
        }
    }
}
