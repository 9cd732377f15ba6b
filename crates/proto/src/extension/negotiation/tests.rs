//! Tests of offers, responses and refusals of permessage-deflate.

use super::*;
use crate::Role;

fn settings() -> Deflate {
    Deflate::default()
}

/// Settings that allow takeover and the largest windows.
fn generous() -> Deflate {
    Deflate {
        server_no_context_takeover: false,
        client_no_context_takeover: false,
        kept_window_bits_max: 15,
        ..settings()
    }
}

fn params(server_no: bool, client_no: bool, server_bits: u8, client_bits: u8) -> DeflateParams {
    DeflateParams {
        server_no_context_takeover: server_no,
        client_no_context_takeover: client_no,
        server_max_window_bits: server_bits,
        client_max_window_bits: client_bits,
    }
}

fn respond(settings: &Deflate, offer: &str) -> Option<(DeflateParams, String)> {
    settings.respond([offer.as_bytes()])
}

fn accept(settings: &Deflate, response: &str) -> Result<Option<DeflateParams>, ExtensionError> {
    settings.accept([response.as_bytes()])
}

#[test]
fn client_offers_what_its_settings_say() {
    assert_eq!(
        settings().offer(),
        "permessage-deflate; server_no_context_takeover; client_max_window_bits"
    );
    let thrifty = Deflate {
        client_no_context_takeover: true,
        ..settings()
    };
    assert_eq!(
        thrifty.offer(),
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
         client_max_window_bits"
    );
    assert_eq!(
        generous().offer(),
        "permessage-deflate; client_max_window_bits"
    );
    let narrow = Deflate {
        server_max_window_bits: 10,
        client_max_window_bits: 3,
        ..generous()
    };
    assert_eq!(
        narrow.offer(),
        "permessage-deflate; server_max_window_bits=10; client_max_window_bits=8"
    );
}

#[test]
fn server_answers_a_bare_offer_with_its_settings() {
    assert_eq!(
        respond(&generous(), "permessage-deflate"),
        Some((
            params(false, false, 15, 15),
            String::from("permessage-deflate")
        ))
    );
    assert_eq!(
        respond(&settings(), "permessage-deflate"),
        Some((
            params(true, false, 15, 15),
            String::from("permessage-deflate; server_no_context_takeover")
        ))
    );
}

#[test]
fn server_demands_nothing_of_a_client_that_offers_nothing_and_a_small_window_of_one_that_does() {
    let demanding = Deflate {
        client_no_context_takeover: true,
        ..settings()
    };
    let prefix = "permessage-deflate; server_no_context_takeover";
    for (settings, offered, agreed, answered) in [
        // Tornado's client, Chromium.
        (
            settings(),
            "; client_max_window_bits",
            params(true, false, 15, 12),
            "; client_max_window_bits=12",
        ),
        (
            settings(),
            "; client_max_window_bits=10",
            params(true, false, 15, 10),
            "; client_max_window_bits=10",
        ),
        // Firefox, Safari.
        (settings(), "", params(true, false, 15, 15), ""),
        // Without takeover nothing is kept, so the window need not be small.
        (
            settings(),
            "; client_no_context_takeover; client_max_window_bits",
            params(true, true, 15, 15),
            "; client_no_context_takeover",
        ),
        // A server may demand it.
        (
            demanding,
            "",
            params(true, true, 15, 15),
            "; client_no_context_takeover",
        ),
    ] {
        assert_eq!(
            respond(&settings, &format!("permessage-deflate{offered}")),
            Some((agreed, format!("{prefix}{answered}"))),
            "{offered}"
        );
    }
}

#[test]
fn server_grants_every_restriction_that_is_asked_for() {
    let (agreed, value) = respond(
        &generous(),
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
         server_max_window_bits=9; client_max_window_bits=8",
    )
    .unwrap();
    assert_eq!(agreed, params(true, true, 9, 8));
    assert_eq!(
        value,
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
         server_max_window_bits=9; client_max_window_bits=8"
    );
}

#[test]
fn server_names_the_window_that_was_named_even_if_it_is_the_largest() {
    let (agreed, value) = respond(
        &generous(),
        "permessage-deflate; server_max_window_bits=15; client_max_window_bits=15",
    )
    .unwrap();
    assert_eq!(agreed, params(false, false, 15, 15));
    assert_eq!(value, "permessage-deflate; server_max_window_bits=15");
}

#[test]
fn server_restricts_the_client_only_if_the_client_offered_it() {
    let narrow = Deflate {
        client_max_window_bits: 10,
        server_max_window_bits: 11,
        ..generous()
    };
    for (offer, bits, value) in [
        (
            "permessage-deflate",
            15,
            "permessage-deflate; server_max_window_bits=11",
        ),
        (
            "permessage-deflate; client_max_window_bits",
            10,
            "permessage-deflate; server_max_window_bits=11; client_max_window_bits=10",
        ),
        (
            "permessage-deflate; client_max_window_bits=9",
            9,
            "permessage-deflate; server_max_window_bits=11; client_max_window_bits=9",
        ),
        (
            "permessage-deflate; client_max_window_bits=12",
            10,
            "permessage-deflate; server_max_window_bits=11; client_max_window_bits=10",
        ),
    ] {
        assert_eq!(
            respond(&narrow, offer),
            Some((params(false, false, 11, bits), String::from(value))),
            "{offer}"
        );
    }
}

/// Invalid parameters of an offer.
const BAD_OFFERS: [&str; 18] = [
    "server_no_context_takeover=1",
    "server_no_context_takeover=true",
    "client_no_context_takeover=0",
    "server_max_window_bits",
    "server_max_window_bits=7",
    "server_max_window_bits=16",
    "server_max_window_bits=08",
    "server_max_window_bits=015",
    "server_max_window_bits=+9",
    "server_max_window_bits=9a",
    "client_max_window_bits=7",
    "client_max_window_bits=16",
    "client_max_window_bits=010",
    "client_max_window_bits=99999999999999999999",
    "mystery",
    "server_no_context_takeover; server_no_context_takeover",
    "client_max_window_bits; client_max_window_bits=9",
    "server_max_window_bits=9; server_max_window_bits=9",
];

#[test]
fn server_declines_an_offer_with_a_bad_parameter() {
    for bad in BAD_OFFERS {
        assert_eq!(
            respond(&settings(), &format!("permessage-deflate; {bad}")),
            None,
            "{bad}"
        );
    }
}

#[test]
fn server_takes_the_first_acceptable_offer() {
    for bad in BAD_OFFERS {
        let offers = format!(
            "permessage-deflate; {bad}, mux, permessage-deflate; server_max_window_bits=12, \
             permessage-deflate"
        );
        let (agreed, value) = respond(&generous(), &offers).unwrap();
        assert_eq!(agreed, params(false, false, 12, 15), "{bad}");
        assert_eq!(value, "permessage-deflate; server_max_window_bits=12");
    }
}

#[test]
fn server_reads_offers_from_several_fields() {
    let fields: [&[u8]; 3] = [
        b"x-webkit-deflate-frame",
        b"permessage-deflate; nonsense",
        b"permessage-deflate; server_max_window_bits=\"10\"",
    ];
    let (agreed, _) = generous().respond(fields).unwrap();
    assert_eq!(agreed, params(false, false, 10, 15));
}

#[test]
fn server_agrees_to_nothing_that_it_does_not_know_or_cannot_read() {
    assert_eq!(settings().respond([]), None);
    for offers in ["mux", "PerMessage-Deflate", "permessage-deflate;", ""] {
        assert_eq!(respond(&settings(), offers), None, "{offers}");
    }
}

#[test]
fn client_takes_no_answer_as_no_compression() {
    assert_eq!(settings().accept([]), Ok(None));
}

#[test]
fn client_takes_what_it_offered() {
    assert_eq!(
        accept(
            &settings(),
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
        ),
        Ok(Some(params(true, true, 15, 15)))
    );
    assert_eq!(
        accept(&generous(), "permessage-deflate"),
        Ok(Some(params(false, false, 15, 15)))
    );
}

#[test]
fn client_obeys_restrictions_that_it_did_not_ask_for() {
    assert_eq!(
        accept(
            &generous(),
            "permessage-deflate; client_no_context_takeover; server_no_context_takeover; \
             client_max_window_bits=8; server_max_window_bits=8"
        ),
        Ok(Some(params(true, true, 8, 8)))
    );
}

#[test]
fn client_keeps_to_its_own_offer_if_the_answer_leaves_it_out() {
    let narrow = Deflate {
        client_no_context_takeover: true,
        client_max_window_bits: 10,
        ..generous()
    };
    assert_eq!(
        accept(&narrow, "permessage-deflate"),
        Ok(Some(params(false, true, 15, 10)))
    );
}

#[test]
fn client_fails_if_a_larger_window_is_named_than_it_offered() {
    let narrow = Deflate {
        server_max_window_bits: 10,
        client_max_window_bits: 10,
        ..generous()
    };
    for response in [
        "permessage-deflate; server_max_window_bits=11",
        "permessage-deflate; server_max_window_bits=10; client_max_window_bits=11",
    ] {
        assert_eq!(
            accept(&narrow, response),
            Err(ExtensionError::NotRestricted),
            "{response}"
        );
    }
}

#[test]
fn client_keeps_the_window_of_a_server_that_grants_no_restriction() {
    let narrow = Deflate {
        server_max_window_bits: 10,
        ..settings()
    };
    for settings in [settings(), narrow] {
        assert_eq!(
            accept(&settings, "permessage-deflate"),
            Ok(Some(params(false, false, 15, 15)))
        );
    }
}

#[test]
fn client_fails_on_any_bad_parameter() {
    for bad in BAD_OFFERS {
        let response = format!("permessage-deflate; {bad}");
        assert!(accept(&generous(), &response).is_err(), "{bad}");
    }
    // A value is optional in an offer only (section 7.1.2.2).
    assert_eq!(
        accept(&generous(), "permessage-deflate; client_max_window_bits"),
        Err(ExtensionError::BadValue)
    );
}

#[test]
fn client_fails_on_an_extension_that_it_did_not_offer() {
    for response in [
        "mux",
        "permessage-deflate, mux",
        "permessage-deflate, permessage-deflate",
    ] {
        assert_eq!(
            accept(&generous(), response),
            Err(ExtensionError::NotOffered),
            "{response}"
        );
    }
    assert_eq!(
        accept(&generous(), "permessage-deflate;"),
        Err(ExtensionError::Malformed)
    );
}

#[test]
fn both_ends_of_a_negotiation_agree() {
    let choices = [false, true];
    let bits = [8, 9, 12, 15];
    for (server_no, client_no) in choices.iter().flat_map(|a| choices.map(|b| (*a, b))) {
        for (server_bits, client_bits) in bits.iter().flat_map(|a| bits.map(|b| (*a, b))) {
            let one = Deflate {
                kept_window_bits_max: 15,
                server_no_context_takeover: server_no,
                client_no_context_takeover: client_no,
                server_max_window_bits: server_bits,
                client_max_window_bits: client_bits,
                ..settings()
            };
            for (server, client) in [(&one, &generous()), (&generous(), &one), (&one, &one)] {
                let (theirs, value) = respond(server, &client.offer()).unwrap();
                assert_eq!(accept(client, &value), Ok(Some(theirs)), "{value}");
                assert_eq!(
                    theirs,
                    params(server_no, client_no, server_bits, client_bits)
                );
            }
        }
    }
}

#[test]
fn each_role_deflates_with_its_own_window() {
    let agreed = params(false, true, 12, 9);
    let text = [b'x'; 5000];
    for (sender, kept) in [(Role::Server, 4096), (Role::Client, 0)] {
        let mut pool = crate::extension::Pool::new();
        let mut deflater = agreed.deflater(sender, 1);
        let mut inflater = agreed.inflater(sender.peer());
        let (mut wire, mut back) = (alloc::vec![], alloc::vec![]);
        deflater.deflate_whole(&mut pool, &text, &mut wire);
        let end = crate::extension::End::Yes;
        inflater
            .inflate(&mut pool, &mut wire.as_slice(), end, &mut back, 5000)
            .unwrap();
        assert_eq!(back, text);
        assert_eq!(deflater.held_bytes(), kept);
        assert_eq!(inflater.held_bytes(), kept);
    }
}
