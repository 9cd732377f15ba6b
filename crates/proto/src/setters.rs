//! Setters for the public fields of a struct that others can't write as a literal.

/// Defines chainable setters for public fields: `name: field: argument`, whose argument becomes the field by `Into`.
///
/// Not part of the public API: crate `sockeye` uses it for its own settings.
#[doc(hidden)]
#[macro_export]
macro_rules! setters {
    ($type:ident { $($setter:ident: $field:ident: $argument:ty,)+ }) => {
        impl $type {
            $(
                #[doc = concat!(
                    "Sets [`", stringify!($type), "::", stringify!($field), "`](field@Self::", stringify!($field),
                    "), and returns the rest as it is."
                )]
                #[must_use]
                pub fn $setter(mut self, $field: $argument) -> Self {
                    self.$field = $field.into();
                    self
                }
            )+
        }
    };
}
