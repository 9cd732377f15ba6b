//! Any value of `Sec-WebSocket-Extensions`, as an offer and as an answer.

use sockeye_proto::extension::{Deflate, Extensions, check};

use crate::choices::Choices;

/// What a server answers a client understands, and never more than was asked for.
pub fn extension_header(data: &[u8]) {
    let mut choices = Choices::new(data);
    let settings = choices.settings();
    let fields: Vec<_> = choices.rest().split(|byte| *byte == b'\n').collect();
    let fields = || fields.iter().copied();

    let is_right = check(fields()).is_ok();
    for field in fields() {
        for extension in Extensions::new(field).flatten() {
            assert!(!extension.name.is_empty());
        }
    }

    // As an answer to our offer.
    let accepted = settings.accept(fields());
    assert!(is_right || accepted.is_err());
    if let Ok(Some(params)) = accepted {
        assert!(params.client_no_context_takeover || !settings.client_no_context_takeover);
        // A server may leave out what was asked of it, but not answer with more.
        let asked = settings.server_max_window_bits.clamp(8, 15);
        assert!(params.server_max_window_bits <= asked || params.server_max_window_bits == 15);
        assert!(params.client_max_window_bits <= settings.client_max_window_bits.clamp(8, 15));
    }

    // As an offer.
    let Some((params, answer)) = settings.respond(fields()) else {
        return;
    };
    assert!(is_right);
    assert!(params.server_max_window_bits <= settings.server_max_window_bits.clamp(8, 15));
    let mut generous = Deflate::default();
    generous.server_no_context_takeover = false;
    generous.client_no_context_takeover = false;
    assert_eq!(generous.accept([answer.as_bytes()]), Ok(Some(params)));
}
