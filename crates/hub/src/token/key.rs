//! Keys, and the algorithms that each accepts.
//!
//! The kind of the key decides which algorithms are accepted. A token that names another algorithm isn't verified with it,
//! therefore a public key never serves as an HMAC secret.

use std::fmt;

use ring::{
    hmac,
    signature::{self, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey},
};

use super::Algorithm;

/// A shared secret, prepared for the three hash functions.
#[derive(Clone)]
pub(crate) struct HmacSecret {
    sha256: hmac::Key,
    sha384: hmac::Key,
    sha512: hmac::Key,
}

impl HmacSecret {
    pub(crate) fn new(secret: &[u8]) -> Self {
        Self {
            sha256: hmac::Key::new(hmac::HMAC_SHA256, secret),
            sha384: hmac::Key::new(hmac::HMAC_SHA384, secret),
            sha512: hmac::Key::new(hmac::HMAC_SHA512, secret),
        }
    }

    /// Returns whether the secret signed this. False too if the algorithm isn't an HMAC.
    ///
    /// `ring` compares the whole tag, in constant time. A truncated one isn't accepted.
    pub(crate) fn verify(&self, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> bool {
        let key = match algorithm {
            Algorithm::Hs256 => &self.sha256,
            Algorithm::Hs384 => &self.sha384,
            Algorithm::Hs512 => &self.sha512,
            _ => return false,
        };
        hmac::verify(key, signed, signature).is_ok()
    }
}

impl fmt::Debug for HmacSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HmacSecret(..)")
    }
}

/// A curve of ECDSA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Curve {
    P256,
    P384,
}

impl Curve {
    /// Bytes of one coordinate.
    pub(crate) fn coordinate_bytes(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
        }
    }
}

/// A public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PublicKey {
    /// Both numbers are big-endian without leading zeros; the modulus has 2048 to 8192 bits.
    Rsa {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
    /// The point is 4, x, y (SEC 1, uncompressed). `ring` checks at each verification that it is on the curve.
    Ec {
        curve: Curve,
        point: Vec<u8>,
    },
    Ed25519([u8; 32]),
}

impl PublicKey {
    /// Creates an RSA key from big-endian numbers, or says why it can't be used.
    pub(crate) fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<Self, String> {
        let modulus = without_leading_zeros(modulus);
        let exponent = without_leading_zeros(exponent);
        let bits = modulus.first().map_or(0, |first| {
            modulus.len() * 8 - first.leading_zeros() as usize
        });
        // The library's limits. Shorter keys were given up in 2013 (NIST SP 800-131A).
        if !(2048..=8192).contains(&bits) {
            return Err(format!(
                "is an RSA key of {bits} bits; 2048 to 8192 are accepted"
            ));
        }
        // The library takes up to 33 bits, odd, and not 1. In practice it is 65537.
        if exponent.len() > 5 || exponent.last().is_none_or(|last| last % 2 == 0) || exponent == [1]
        {
            return Err("is an RSA key with an unusable exponent".to_owned());
        }
        Ok(Self::Rsa {
            modulus: modulus.to_vec(),
            exponent: exponent.to_vec(),
        })
    }

    /// Creates an ECDSA key from an encoded point, or says why it can't be used.
    pub(crate) fn ec_point(curve: Curve, point: &[u8]) -> Result<Self, String> {
        match point.first() {
            Some(4) if point.len() == 1 + 2 * curve.coordinate_bytes() => Ok(Self::Ec {
                curve,
                point: point.to_vec(),
            }),
            Some(2 | 3) => Err(
                "is an ECDSA key with a compressed point; write it uncompressed: openssl ec -pubin -in FILE -conv_form uncompressed"
                    .to_owned(),
            ),
            _ => Err("is an ECDSA key with a point of the wrong length".to_owned()),
        }
    }

    /// Creates an Ed25519 key, or says why it can't be used.
    pub(crate) fn ed25519(bytes: &[u8]) -> Result<Self, String> {
        bytes
            .try_into()
            .map(Self::Ed25519)
            .map_err(|_| format!("is an Ed25519 key of {} bytes instead of 32", bytes.len()))
    }

    /// Returns the name of its kind, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Rsa { .. } => "RSA",
            Self::Ec { .. } => "ECDSA",
            Self::Ed25519(_) => "Ed25519",
        }
    }

    pub(crate) fn accepts(&self, algorithm: Algorithm) -> bool {
        match self {
            Self::Rsa { .. } => rsa_parameters(algorithm).is_some(),
            // RFC 7518, section 3.4: the algorithm fixes the curve.
            Self::Ec { curve, .. } => match curve {
                Curve::P256 => algorithm == Algorithm::Es256,
                Curve::P384 => algorithm == Algorithm::Es384,
            },
            Self::Ed25519(_) => algorithm == Algorithm::EdDsa,
        }
    }

    /// Returns whether the key signed this. False too if the algorithm isn't for this kind of key.
    pub(crate) fn verify(&self, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> bool {
        if !self.accepts(algorithm) {
            return false;
        }
        match self {
            Self::Rsa { modulus, exponent } => {
                rsa_parameters(algorithm).is_some_and(|parameters| {
                    let key = RsaPublicKeyComponents {
                        n: modulus,
                        e: exponent,
                    };
                    key.verify(parameters, signed, signature).is_ok()
                })
            }
            Self::Ec { curve, point } => {
                let parameters = match curve {
                    Curve::P256 => &signature::ECDSA_P256_SHA256_FIXED,
                    Curve::P384 => &signature::ECDSA_P384_SHA384_FIXED,
                };
                UnparsedPublicKey::new(parameters, point)
                    .verify(signed, signature)
                    .is_ok()
            }
            Self::Ed25519(bytes) => UnparsedPublicKey::new(&signature::ED25519, bytes)
                .verify(signed, signature)
                .is_ok(),
        }
    }
}

fn rsa_parameters(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    match algorithm {
        Algorithm::Rs256 => Some(&signature::RSA_PKCS1_2048_8192_SHA256),
        Algorithm::Rs384 => Some(&signature::RSA_PKCS1_2048_8192_SHA384),
        Algorithm::Rs512 => Some(&signature::RSA_PKCS1_2048_8192_SHA512),
        Algorithm::Ps256 => Some(&signature::RSA_PSS_2048_8192_SHA256),
        Algorithm::Ps384 => Some(&signature::RSA_PSS_2048_8192_SHA384),
        Algorithm::Ps512 => Some(&signature::RSA_PSS_2048_8192_SHA512),
        _ => None,
    }
}

fn without_leading_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|&&byte| byte == 0).count();
    &number[zeros..]
}
