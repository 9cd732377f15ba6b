//! What both ends have agreed on, with the settings of the connection.

use std::sync::Arc;

use http::HeaderMap;
use parking_lot::Mutex;
use sockeye_proto::extension::DeflateParams;

use crate::settings::Settings;

/// What both ends have agreed on, with the settings of the connection: some 500 bytes, which connections of one route share.
#[derive(Debug, Default)]
pub(crate) struct Negotiated {
    pub(crate) settings: Settings,
    pub(crate) deflate: Option<DeflateParams>,
    pub(crate) subprotocol: Option<String>,
    /// In a client the header fields of the response; in a server empty.
    pub(crate) response_headers: HeaderMap,
    /// Whether the session keeps its request after `on_open`.
    pub(crate) keeps_request: bool,
}

/// What clients of one route have agreed on so far, beside its plain [`Negotiated`]. Those that agree on the same share one.
#[derive(Debug, Default)]
pub(crate) struct SharedNegotiated(Mutex<Vec<Arc<Negotiated>>>);

/// A browser and its versions differ in one or two parameters of deflate. Only a peer that tries them all finds more, and
/// connections that agree on what is not among these have one of their own.
const SHARED_MAX: usize = 64;

impl SharedNegotiated {
    /// Returns what both ends have agreed on. It is `plain` if that is nothing.
    pub(crate) fn agree(
        &self,
        plain: &Arc<Negotiated>,
        deflate: Option<DeflateParams>,
        subprotocol: Option<&str>,
    ) -> Arc<Negotiated> {
        if deflate.is_none() && subprotocol.is_none() {
            return Arc::clone(plain);
        }
        let mut shared = self.0.lock();
        let known = shared
            .iter()
            .find(|known| known.deflate == deflate && known.subprotocol.as_deref() == subprotocol);
        if let Some(known) = known {
            return Arc::clone(known);
        }
        let negotiated = Arc::new(Negotiated {
            settings: plain.settings.clone(),
            deflate,
            subprotocol: subprotocol.map(str::to_owned),
            keeps_request: plain.keeps_request,
            ..Negotiated::default()
        });
        if shared.len() < SHARED_MAX {
            shared.push(Arc::clone(&negotiated));
        }
        negotiated
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_that_agree_on_the_same_share_it() {
        let shared = SharedNegotiated::default();
        let plain = Arc::new(Negotiated::default());
        let agree = |subprotocol| shared.agree(&plain, None, subprotocol);
        assert!(Arc::ptr_eq(&agree(None), &plain));
        let chat = agree(Some("chat"));
        assert_eq!(chat.subprotocol.as_deref(), Some("chat"));
        assert!(Arc::ptr_eq(&agree(Some("chat")), &chat));
        assert!(!Arc::ptr_eq(&agree(Some("news")), &chat));
    }

    #[test]
    fn only_so_many_are_kept() {
        let shared = SharedNegotiated::default();
        let plain = Arc::new(Negotiated::default());
        for number in 0..2 * SHARED_MAX {
            let name = number.to_string();
            let agreed = shared.agree(&plain, None, Some(&name));
            assert_eq!(agreed.subprotocol, Some(name));
        }
        assert_eq!(shared.0.lock().len(), SHARED_MAX);
    }
}
