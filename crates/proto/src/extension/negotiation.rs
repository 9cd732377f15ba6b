//! The negotiation of permessage-deflate (RFC 7692 sections 5 and 7.1).

use super::{
    Deflate, DeflateParams, ExtensionError,
    grammar::{self, Extension, Parameter},
    params::{WINDOW_BITS_MAX, WINDOW_BITS_MIN},
};
use alloc::{format, string::String};

/// Returns what a client writes into `Sec-WebSocket-Extensions`.
pub(crate) fn offer(settings: &Deflate) -> Option<String> {
    Some(settings.offer())
}

impl Deflate {
    /// Returns the client's value of `Sec-WebSocket-Extensions`.
    #[must_use]
    pub fn offer(&self) -> String {
        let mut value = String::from(NAME);
        if self.server_no_context_takeover {
            value.push_str("; server_no_context_takeover");
        }
        if self.client_no_context_takeover {
            value.push_str("; client_no_context_takeover");
        }
        let bits = clamped(self.server_max_window_bits);
        if bits < WINDOW_BITS_MAX {
            value.push_str(&format!("; server_max_window_bits={bits}"));
        }
        // Section 7.1.2.2: a server may use it only if it was offered, so it always is.
        match clamped(self.client_max_window_bits) {
            WINDOW_BITS_MAX => value.push_str("; client_max_window_bits"),
            bits => value.push_str(&format!("; client_max_window_bits={bits}")),
        }
        value
    }

    /// Chooses the first of a client's offers that these settings can meet. Returns the parameters and the server's value of
    /// `Sec-WebSocket-Extensions`, or `None` for no compression.
    ///
    /// Fields that break the grammar must fail the handshake: call [`super::check`] first.
    #[must_use]
    pub fn respond<'a>(
        &self,
        offers: impl IntoIterator<Item = &'a [u8]>,
    ) -> Option<(DeflateParams, String)> {
        let offers = grammar::all(offers).ok()?;
        // Section 7: an offer with an unknown, repeated or invalid parameter is declined.
        let offer = offers
            .iter()
            .filter(|extension| extension.name == NAME)
            .find_map(|extension| Parameters::parse(extension, Direction::Offer).ok())?;

        // Section 7.1.1.2: a server may demand it of a client that didn't offer it. Tornado's client ignores that, which is why
        // the default settings don't demand it.
        let client_no_context_takeover =
            self.client_no_context_takeover || offer.client_no_context_takeover;
        let client_bits_max = match client_no_context_takeover {
            true => clamped(self.client_max_window_bits),
            false => clamped(self.client_max_window_bits.min(self.kept_window_bits_max)),
        };
        let params = DeflateParams {
            server_no_context_takeover: self.server_no_context_takeover
                || offer.server_no_context_takeover,
            client_no_context_takeover,
            server_max_window_bits: clamped(self.server_max_window_bits)
                .min(offer.server_max_window_bits.unwrap_or(WINDOW_BITS_MAX)),
            // Section 7.1.2.2: never in the response unless it was in the offer.
            client_max_window_bits: match offer.client_max_window_bits {
                ClientBits::Absent => WINDOW_BITS_MAX,
                ClientBits::Any => client_bits_max,
                ClientBits::AtMost(bits) => bits.min(client_bits_max),
            },
        };

        let mut value = String::from(NAME);
        if params.server_no_context_takeover {
            value.push_str("; server_no_context_takeover");
        }
        if params.client_no_context_takeover {
            value.push_str("; client_no_context_takeover");
        }
        // Section 7.1.2.1: the response to an offer that names it names it too.
        let bits = params.server_max_window_bits;
        if offer.server_max_window_bits.is_some() || bits < WINDOW_BITS_MAX {
            value.push_str(&format!("; server_max_window_bits={bits}"));
        }
        let bits = params.client_max_window_bits;
        if bits < WINDOW_BITS_MAX {
            value.push_str(&format!("; client_max_window_bits={bits}"));
        }
        Some((params, value))
    }

    /// Checks a server's response to [`Deflate::offer`]. Returns `Ok(None)` if the server wants no compression.
    ///
    /// # Errors
    ///
    /// The response doesn't fit the offer; the client must fail the connection (RFC 7692 section 7.1, RFC 6455 section 4.1).
    pub fn accept<'a>(
        &self,
        response: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Option<DeflateParams>, ExtensionError> {
        let agreed = grammar::all(response)?;
        let extension = match agreed.as_slice() {
            [] => return Ok(None),
            [extension] if extension.name == NAME => extension,
            _ => return Err(ExtensionError::NotOffered),
        };
        let answer = Parameters::parse(extension, Direction::Response)?;

        // Sections 7.1.1.1 and 7.1.2.1: a server that accepts an offer of these repeats them. Some servers, such as Tornado's,
        // leave them out and use takeover and the largest window. We can read that, so we accept it.
        let server_max_window_bits = match answer.server_max_window_bits {
            Some(bits) if bits > clamped(self.server_max_window_bits) => {
                return Err(ExtensionError::NotRestricted);
            }
            Some(bits) => bits,
            None => WINDOW_BITS_MAX,
        };
        // Section 7.1.2.2: at most what we offered. If it is left out, our offer still binds us.
        let offered = clamped(self.client_max_window_bits);
        let client_max_window_bits = match answer.client_max_window_bits {
            ClientBits::AtMost(bits) if bits > offered => {
                return Err(ExtensionError::NotRestricted);
            }
            ClientBits::AtMost(bits) => bits,
            ClientBits::Absent | ClientBits::Any => offered,
        };
        Ok(Some(DeflateParams {
            server_no_context_takeover: answer.server_no_context_takeover,
            // Section 7.1.1.2: a client that offered it does it, whatever the response.
            client_no_context_takeover: self.client_no_context_takeover
                || answer.client_no_context_takeover,
            server_max_window_bits,
            client_max_window_bits,
        }))
    }
}

/// The direction of the header. The two have different rules for values.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Offer,
    Response,
}

/// The parameters of one permessage-deflate, in an offer or in a response.
#[derive(Default)]
struct Parameters {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    /// 8 to 15.
    server_max_window_bits: Option<u8>,
    client_max_window_bits: ClientBits,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum ClientBits {
    #[default]
    Absent,
    /// Without a value, in an offer: the client accepts any limit.
    Any,
    /// 8 to 15.
    AtMost(u8),
}

impl Parameters {
    fn parse(extension: &Extension<'_>, direction: Direction) -> Result<Self, ExtensionError> {
        let mut parameters = Self::default();
        for Parameter { name, value } in &extension.parameters {
            let value = value.as_deref();
            let repeated = match *name {
                "server_no_context_takeover" => {
                    no_value(value)?;
                    core::mem::replace(&mut parameters.server_no_context_takeover, true)
                }
                "client_no_context_takeover" => {
                    no_value(value)?;
                    core::mem::replace(&mut parameters.client_no_context_takeover, true)
                }
                "server_max_window_bits" => {
                    let bits = window_bits(value.ok_or(ExtensionError::BadValue)?)?;
                    parameters.server_max_window_bits.replace(bits).is_some()
                }
                "client_max_window_bits" => {
                    let bits = match (value, direction) {
                        (Some(value), _) => ClientBits::AtMost(window_bits(value)?),
                        (None, Direction::Offer) => ClientBits::Any,
                        (None, Direction::Response) => return Err(ExtensionError::BadValue),
                    };
                    let before = core::mem::replace(&mut parameters.client_max_window_bits, bits);
                    before != ClientBits::Absent
                }
                _ => return Err(ExtensionError::UnknownParameter),
            };
            if repeated {
                return Err(ExtensionError::RepeatedParameter);
            }
        }
        Ok(parameters)
    }
}

fn no_value(value: Option<&str>) -> Result<(), ExtensionError> {
    match value {
        None => Ok(()),
        Some(_) => Err(ExtensionError::BadValue),
    }
}

/// RFC 7692 section 7.1.2: a decimal number from 8 to 15 without leading zeros.
fn window_bits(value: &str) -> Result<u8, ExtensionError> {
    match value {
        "8" | "9" | "10" | "11" | "12" | "13" | "14" | "15" => {
            value.parse().map_err(|_| ExtensionError::BadValue)
        }
        _ => Err(ExtensionError::BadValue),
    }
}

fn clamped(bits: u8) -> u8 {
    bits.clamp(WINDOW_BITS_MIN, WINDOW_BITS_MAX)
}

/// RFC 7692 section 7: the extension's name.
const NAME: &str = "permessage-deflate";

#[cfg(test)]
mod tests;
