//! The macro that defines messages: one line for each field, from which both encodings follow.

/// Defines messages of the protocol.
///
/// A field is written as `NUMBER (KIND) NAME: TYPE,`. The number and the kind are Protobuf's, the name is JSON's. `= ALWAYS`
/// after the type keeps the field in JSON when its value is zero.
macro_rules! messages {
    ($(
        $(#[$doc:meta])*
        pub struct $message:ident {
            $(
                $(#[$field_doc:meta])*
                $number:literal ($($kind:tt)+) $field:ident: $type:ty $(= $presence:ident)?,
            )*
        }
    )*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, ::prost::Message)]
        pub struct $message {
            $(
                $(#[$field_doc])*
                #[prost($($kind)+, tag = $number)]
                pub $field: $type,
            )*
        }

        impl ::serde::Serialize for $message {
            #[allow(unused_imports, reason = "a message without fields uses few of them")]
            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use ::serde::ser::SerializeStruct as _;
                use crate::wire::json_field::{ALWAYS, AsJson, JsonField as _, wire_name};

                // serde_json asks how many fields there are only to see whether there are none.
                #[allow(unused_mut, reason = "a message without fields writes none")]
                let mut object = serializer.serialize_struct(stringify!($message), 1)?;
                $(
                    if !self.$field.is_zero() $(|| $presence)? {
                        object.serialize_field(wire_name(stringify!($field)), &AsJson(&self.$field))?;
                    }
                )*
                object.end()
            }
        }

        impl<'de> ::serde::Deserialize<'de> for $message {
            fn deserialize<D: ::serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_map(crate::wire::json_field::ObjectVisitor::new())
            }
        }

        impl crate::wire::json_field::JsonObject for $message {
            const FIELDS: &'static [(u32, &'static str)] = &[$( ($number, stringify!($field)), )*];

            #[allow(unused_variables, reason = "a message without fields reads none")]
            fn read_field<'de, A: ::serde::de::MapAccess<'de>>(
                &mut self,
                number: u32,
                object: &mut A,
            ) -> Result<(), A::Error> {
                match number {
                    $( $number => self.$field = crate::wire::json_field::read_value(object)?, )*
                    _ => {}
                }
                Ok(())
            }
        }

        #[cfg(test)]
        impl crate::wire::sample::Sample for $message {
            fn sample(source: &mut crate::wire::sample::Source) -> Self {
                source.message(|_source| Self {
                    $( $field: crate::wire::sample::Sample::sample(_source), )*
                })
            }
        }
    )*};
}

pub(super) use messages;
