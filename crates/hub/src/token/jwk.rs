//! JSON Web Key Sets (RFC 7517): the public keys that an issuer publishes.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    Algorithm,
    compact_jws::KEY_ID_BYTES_MAX,
    key::{Curve, PublicKey},
};

/// The usable keys of a set. Immutable; a new answer of the endpoint makes a new set.
#[derive(Debug, Default)]
pub(crate) struct JwkSet {
    keys: Vec<Jwk>,
    unusable_count: usize,
}

/// A key with the name by which tokens refer to it.
#[derive(Debug)]
struct Jwk {
    id: String,
    /// The only algorithm that the key is for, if the issuer says so.
    algorithm: Option<Algorithm>,
    key: PublicKey,
}

impl JwkSet {
    /// Parses a set. Keys that can't be used are left out, as RFC 7517, section 5, has it: an issuer may publish keys
    /// for other purposes, or of kinds that are newer than this program.
    ///
    /// # Errors
    ///
    /// Says why it isn't a set, or that it has more than `keys_max` keys.
    pub(crate) fn parse(json: &[u8], keys_max: usize) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Members<'a> {
            #[serde(borrow)]
            keys: Vec<&'a RawValue>,
        }

        let members: Members<'_> = serde_json::from_slice(json)
            .map_err(|_| "the answer isn't a JSON object with the array `keys`")?;
        if members.keys.len() > keys_max {
            return Err(format!("the answer has more than {keys_max} keys"));
        }
        let keys: Vec<Jwk> = members
            .keys
            .iter()
            .filter_map(|raw| Jwk::parse(raw.get()))
            .collect();
        Ok(Self {
            unusable_count: members.keys.len() - keys.len(),
            keys,
        })
    }

    pub(crate) fn usable_count(&self) -> usize {
        self.keys.len()
    }

    pub(crate) fn unusable_count(&self) -> usize {
        self.unusable_count
    }

    pub(crate) fn has(&self, id: &str) -> bool {
        self.keys.iter().any(|jwk| jwk.id == id)
    }

    /// Returns the keys with this id that are for this algorithm. Two keys of different kinds may share an id.
    pub(crate) fn matching(
        &self,
        id: &str,
        algorithm: Algorithm,
    ) -> impl Iterator<Item = &PublicKey> {
        self.keys
            .iter()
            .filter(move |jwk| {
                jwk.id == id
                    && jwk.algorithm.is_none_or(|only| only == algorithm)
                    && jwk.key.accepts(algorithm)
            })
            .map(|jwk| &jwk.key)
    }
}

impl Jwk {
    /// Parses one key. `None` if it can't be used to verify tokens.
    fn parse(json: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Members {
            kty: String,
            kid: String,
            #[serde(rename = "use")]
            purpose: Option<String>,
            key_ops: Option<Vec<String>>,
            alg: Option<String>,
            crv: Option<String>,
            n: Option<String>,
            e: Option<String>,
            x: Option<String>,
            y: Option<String>,
        }

        let members: Members = serde_json::from_str(json).ok()?;
        let is_for_signatures = members.purpose.as_deref().is_none_or(|use_| use_ == "sig")
            && members
                .key_ops
                .is_none_or(|operations| operations.iter().any(|name| name == "verify"));
        if !is_for_signatures || members.kid.len() > KEY_ID_BYTES_MAX {
            return None;
        }
        let number = |text: &Option<String>| URL_SAFE_NO_PAD.decode(text.as_deref()?).ok();
        // A symmetric key (`oct`) in a public place is no secret, so it isn't one of these.
        let key = match (members.kty.as_str(), members.crv.as_deref()) {
            ("RSA", None) => PublicKey::rsa(&number(&members.n)?, &number(&members.e)?).ok()?,
            ("EC", Some("P-256")) => ec(Curve::P256, &number(&members.x)?, &number(&members.y)?)?,
            ("EC", Some("P-384")) => ec(Curve::P384, &number(&members.x)?, &number(&members.y)?)?,
            ("OKP", Some("Ed25519")) => PublicKey::ed25519(&number(&members.x)?).ok()?,
            _ => return None,
        };
        let algorithm = match members.alg {
            Some(name) => Some(Algorithm::from_name(&name)?),
            None => None,
        };
        Some(Self {
            id: members.kid,
            algorithm,
            key,
        })
    }
}

/// RFC 7518, section 6.2.1.2: each coordinate has the full length of the curve.
fn ec(curve: Curve, x: &[u8], y: &[u8]) -> Option<PublicKey> {
    if x.len() != curve.coordinate_bytes() {
        return None;
    }
    PublicKey::ec_point(curve, &[&[4], x, y].concat()).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn arbitrary_answers_never_panic(bytes in any::<Vec<u8>>(), text in "\\PC{0,40}") {
            let _ = JwkSet::parse(&bytes, 4);
            let set = format!(r#"{{"keys":[{text}]}}"#);
            if let Ok(set) = JwkSet::parse(set.as_bytes(), 4) {
                prop_assert!(set.usable_count() + set.unusable_count() <= 4);
            }
        }

        #[test]
        fn keys_with_arbitrary_numbers_never_panic(
            kty in "RSA|EC|OKP|oct", crv in "P-256|P-384|P-521|Ed25519",
            n in "[A-Za-z0-9_-]{0,400}", x in "[A-Za-z0-9_-]{42,65}",
        ) {
            let key = serde_json::json!({"kty": kty, "kid": "k", "crv": crv, "n": n, "e": "AQAB", "x": x, "y": x});
            let set = serde_json::json!({"keys": [key]}).to_string();
            let set = JwkSet::parse(set.as_bytes(), 1).expect("a set");
            prop_assert_eq!(set.usable_count() + set.unusable_count(), 1);
            for key in set.matching("k", Algorithm::Es256) {
                prop_assert!(!key.verify(Algorithm::Es256, b"x", &[1; 64]));
            }
        }
    }
}
