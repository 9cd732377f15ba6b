//! What the two ends agree on before the first frame (RFC 7692 sections 5 and 7.1).

use alloc::{format, string::String};
use core::fmt;

use super::{
    Deflater, Inflater, Takeover,
    grammar::{self, Extension, Parameter},
};
use crate::Role;

/// Settings of permessage-deflate, for both roles: what we ask for and what we put up with.
///
/// By default a server compresses each message for itself, so that it compresses once what goes to many.
/// Of its peers it demands only what they offer: there are clients that ignore anything else. The last bytes
/// of what a client sent are kept for as long as the connection, 4 KiB if the client lets itself be told and
/// 32 KiB otherwise, from its first compressed message on; nothing is kept of a client that offers
/// `client_no_context_takeover`. Allow takeover to the server, too, where many small messages to one client
/// resemble each other; up to 4 KiB of what was sent are kept then.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deflate {
    /// Each message of the server is compressed for itself. Default true. For a client this is a wish: of a
    /// server that doesn't grant it, up to 32 KiB are kept.
    pub server_no_context_takeover: bool,
    /// Each message of the client is compressed for itself. Default false.
    ///
    /// A client offers it and keeps to it. A server agrees where it is offered; with true it demands it of
    /// all clients, which RFC 7692 allows, but some ignore it, such as Tornado's: their second message is
    /// closed with 1007 then.
    pub client_no_context_takeover: bool,
    /// The server's window is at most 2 to this power, in bytes. 8 to 15 (a value outside is taken
    /// as the nearest), default 15.
    pub server_max_window_bits: u8,
    /// The client's window is at most 2 to this power, in bytes. 8 to 15 (a value outside is taken
    /// as the nearest), default 15. For a server this is a wish: a client that doesn't offer the
    /// parameter can't be told (RFC 7692 section 7.1.2.2), and uses 15.
    pub client_max_window_bits: u8,
    /// In a server: as `client_max_window_bits`, for a client whose context is taken over, so that less is
    /// kept between its messages. 8 to 15 (a value outside is taken as the nearest), default 12: 4 KiB.
    pub kept_window_bits_max: u8,
    /// How hard we try: 0 (stored) to 9. Default 1. JSON of 1, 4 and 16 KiB, deflated and inflated again,
    /// each message for itself: level 1 takes 5, 17 and 65 µs and leaves 28, 23 and 23 per cent; level 2
    /// takes 23, 42 and 110 µs and leaves 24, 18 and 17; level 6 takes 27, 58 and 223 µs and leaves 22, 15
    /// and 15. Where bandwidth is dearer than processors, 2 is a good value.
    pub level: u8,
    /// A message with fewer payload bytes goes out as it is. Default 1 KiB: less fits one packet
    /// anyway, and without takeover shrinks little. With takeover 64 is a good value.
    pub threshold_bytes: usize,
}

impl Default for Deflate {
    fn default() -> Self {
        Self {
            server_no_context_takeover: true,
            client_no_context_takeover: false,
            server_max_window_bits: WINDOW_BITS_MAX,
            client_max_window_bits: WINDOW_BITS_MAX,
            kept_window_bits_max: KEPT_WINDOW_BITS_MAX,
            level: 1,
            threshold_bytes: 1 << 10,
        }
    }
}

/// What both ends agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeflateParams {
    /// The server compresses each message for itself.
    pub server_no_context_takeover: bool,
    /// The client compresses each message for itself.
    pub client_no_context_takeover: bool,
    /// 8 to 15: the server's window is at most 2 to this power.
    pub server_max_window_bits: u8,
    /// 8 to 15: the client's window is at most 2 to this power.
    pub client_max_window_bits: u8,
}

/// The peer's extension header can't be accepted. A client fails the connection, a server answers 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExtensionError {
    /// Not the grammar of RFC 6455 section 9.1.
    Malformed,
    /// More extensions or parameters than we read.
    TooMany,
    /// The server agreed to an extension that we didn't offer, or to one twice.
    NotOffered,
    /// A parameter that permessage-deflate doesn't have.
    UnknownParameter,
    /// A parameter given twice.
    RepeatedParameter,
    /// A value where none may stand, none where one must, or one that is no number from 8 to 15.
    BadValue,
    /// The server names a larger window than we offered.
    NotRestricted,
}

impl Deflate {
    /// The client's header value.
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
        // Always there, because a server may use it only if it was offered (section 7.1.2.2).
        match clamped(self.client_max_window_bits) {
            WINDOW_BITS_MAX => value.push_str("; client_max_window_bits"),
            bits => value.push_str(&format!("; client_max_window_bits={bits}")),
        }
        value
    }

    /// The server's choice: the first offer that we can accept, and the header value that says so.
    /// `None` means no compression.
    ///
    /// Fields that break the grammar must fail the handshake: ask [`super::check`] first.
    #[must_use]
    pub fn respond<'a>(
        &self,
        offers: impl IntoIterator<Item = &'a [u8]>,
    ) -> Option<(DeflateParams, String)> {
        let offers = grammar::all(offers).ok()?;
        // Section 7: an offer with a parameter that is unknown, repeated or has a bad value is declined.
        let offer = offers
            .iter()
            .filter(|extension| extension.name == NAME)
            .find_map(|extension| Parameters::parse(extension, Side::Offer).ok())?;

        // Section 7.1.1.2: a server may demand it of a client that didn't offer it. Tornado's client doesn't
        // hear that, so that the settings leave it out unless told otherwise.
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
        // Section 7.1.2.1: an offer that names it is accepted by naming it.
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

    /// The client's check of the server's answer. `Ok(None)` means that the server wants no
    /// compression.
    ///
    /// # Errors
    ///
    /// Whatever is not an answer to [`Deflate::offer`]; the client must fail the connection
    /// (RFC 7692 section 7.1, RFC 6455 section 4.1).
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
        let answer = Parameters::parse(extension, Side::Response)?;

        // Sections 7.1.1.1 and 7.1.2.1: who accepts the offer of these repeats them. There are servers that
        // leave them out and do as they like, Tornado's among them; we can read that, and keep their window.
        let server_max_window_bits = match answer.server_max_window_bits {
            Some(bits) if bits > clamped(self.server_max_window_bits) => {
                return Err(ExtensionError::NotRestricted);
            }
            Some(bits) => bits,
            None => WINDOW_BITS_MAX,
        };
        // Section 7.1.2.2: not more than we offered; left out, our offer still binds us.
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
            // Section 7.1.1.2: a client that offered it keeps to it, whatever the answer.
            client_no_context_takeover: self.client_no_context_takeover
                || answer.client_no_context_takeover,
            server_max_window_bits,
            client_max_window_bits,
        }))
    }
}

impl DeflateParams {
    /// The inflater of an endpoint in this role: it reads what the other role wrote.
    #[must_use]
    pub fn inflater(&self, role: Role) -> Inflater {
        let (bits, takeover) = self.direction(role.peer());
        Inflater::new(bits, takeover)
    }

    /// The deflater of an endpoint in this role, at `level` 0 to 9.
    #[must_use]
    pub fn deflater(&self, role: Role, level: u8) -> Deflater {
        let (bits, takeover) = self.direction(role);
        Deflater::new(bits, takeover, level)
    }

    /// Window bits and takeover of what `sender` compresses.
    pub(crate) fn direction(&self, sender: Role) -> (u8, Takeover) {
        let (bits, no_takeover) = match sender {
            Role::Server => (self.server_max_window_bits, self.server_no_context_takeover),
            Role::Client => (self.client_max_window_bits, self.client_no_context_takeover),
        };
        let takeover = if no_takeover {
            Takeover::No
        } else {
            Takeover::Yes
        };
        (bits, takeover)
    }
}

/// Which way the header travels; the two have different rules for values.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
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
    /// Without a value: "I can be told". Only in an offer.
    Any,
    /// 8 to 15.
    AtMost(u8),
}

impl Parameters {
    fn parse(extension: &Extension<'_>, side: Side) -> Result<Self, ExtensionError> {
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
                    let bits = match (value, side) {
                        (Some(value), _) => ClientBits::AtMost(window_bits(value)?),
                        (None, Side::Offer) => ClientBits::Any,
                        (None, Side::Response) => return Err(ExtensionError::BadValue),
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

impl fmt::Display for ExtensionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "Sec-WebSocket-Extensions is malformed",
            Self::TooMany => "Sec-WebSocket-Extensions has too many elements",
            Self::NotOffered => "the server agreed to an extension that was not offered",
            Self::UnknownParameter => "unknown parameter of permessage-deflate",
            Self::RepeatedParameter => "repeated parameter of permessage-deflate",
            Self::BadValue => "bad value for a parameter of permessage-deflate",
            Self::NotRestricted => "the server named a larger window than was offered",
        })
    }
}

impl core::error::Error for ExtensionError {}

/// RFC 7692 section 7: the extension's name.
const NAME: &str = "permessage-deflate";

/// RFC 7692 section 7.1.2: the smallest window, 256 bytes.
pub(super) const WINDOW_BITS_MIN: u8 = 8;

/// RFC 7692 section 7.1.2: the largest window, 32 KiB, and what holds if nothing is said.
pub(super) const WINDOW_BITS_MAX: u8 = 15;

/// 4 KiB of a client's messages: chat messages shrink as far as with more, within some per cent.
const KEPT_WINDOW_BITS_MAX: u8 = 12;

#[cfg(test)]
mod tests;
