//! Any bytes before the first frame.

use sockeye_proto::{
    Limits,
    extension::Deflate,
    handshake::{ClientHandshake, Refusal, RequestHead, ResponseHead, ServerHandshake},
};

/// A server reads any bytes as a request, and answers with something that is HTTP.
pub fn handshake_request(data: &[u8]) {
    let limits = Limits::default();
    let (head, bytes) = match RequestHead::parse(data, &limits) {
        Ok(Some(parsed)) => parsed,
        Ok(None) => return assert!(data.len() <= limits.head_bytes_max),
        Err(error) => return is_refusal(&Refusal::from(error)),
    };
    assert!(bytes <= data.len() && bytes <= limits.head_bytes_max);
    assert!(head.headers.len() <= limits.headers_max);
    // Whatever comes as a whole comes in pieces too.
    for end in 0..bytes {
        assert_eq!(
            RequestHead::parse(&data[..end], &limits),
            Ok(None),
            "{end} of {bytes}"
        );
    }
    assert_eq!(
        RequestHead::parse(&data[..bytes], &limits),
        Ok(Some((head.clone(), bytes)))
    );

    let handshake = match ServerHandshake::check(&head) {
        Ok(handshake) => handshake,
        Err(refusal) => return is_refusal(&refusal),
    };
    assert!(head.wants_websocket());
    assert_eq!(handshake.accept().len(), 28);
    let deflate = handshake.select_deflate(&Deflate::default());
    let extensions = deflate.as_ref().map(|(_, value)| value.as_str());
    let subprotocol = handshake.subprotocols().first().map(String::as_str);
    let answer = handshake
        .response(subprotocol, extensions, &[("Server", "sockeye")])
        .expect("what was offered can be chosen");
    let (answered, bytes) = ResponseHead::parse(&answer, &limits).unwrap().unwrap();
    assert_eq!((answered.status, bytes), (101, answer.len()));
}

fn is_refusal(refusal: &Refusal) {
    let bytes = refusal.to_bytes();
    let (head, head_bytes) = ResponseHead::parse(&bytes, &Limits::default())
        .expect("HTTP")
        .expect("a whole head");
    assert_eq!(head.status, refusal.status);
    assert!((400..600).contains(&head.status));
    assert_eq!(bytes.len() - head_bytes, refusal.body.len());
}

/// A client reads any bytes as the answer to its request.
pub fn handshake_response(data: &[u8]) {
    let limits = Limits::default();
    let mut handshake = ClientHandshake::new(*b"the sample nonce");
    let subprotocols = ["chat".to_owned(), "superchat".to_owned()];
    let request = handshake
        .request(
            "/",
            "example.com",
            &subprotocols,
            Some(&Deflate::default()),
            &[],
        )
        .expect("a request");
    let (_, request_bytes) = RequestHead::parse(&request, &limits).unwrap().unwrap();
    assert_eq!(request_bytes, request.len());

    let (head, bytes) = match ResponseHead::parse(data, &limits) {
        Ok(Some(parsed)) => parsed,
        Ok(None) => return assert!(data.len() <= limits.head_bytes_max),
        Err(_) => return,
    };
    assert!(bytes <= data.len() && bytes <= limits.head_bytes_max);
    for end in 0..bytes {
        assert_eq!(
            ResponseHead::parse(&data[..end], &limits),
            Ok(None),
            "{end} of {bytes}"
        );
    }
    if let Ok(agreed) = handshake.verify(&head) {
        assert_eq!(head.status, 101);
        let chosen = agreed.subprotocol;
        assert!(chosen.is_none_or(|name| subprotocols.contains(&name)));
    }
}
