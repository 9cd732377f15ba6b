//! Public keys in PEM (RFC 7468): the block, and the little of DER that a key needs.

use base64::{Engine, engine::general_purpose::STANDARD};

use super::key::{Curve, PublicKey};

/// Reads the public key in a PEM block. The error says what is wrong with it.
pub(crate) fn public_key(text: &str) -> Result<PublicKey, String> {
    let (label, der) = block(text)?;
    match label {
        "PUBLIC KEY" => subject_public_key(&der).ok_or_else(|| {
            "isn't a public key for RSA, for ECDSA with P-256 or P-384, or for Ed25519".to_owned()
        })?,
        "RSA PUBLIC KEY" => {
            rsa_public_key(&der).ok_or_else(|| "isn't an RSA public key in DER".to_owned())?
        }
        "CERTIFICATE" => Err(
            "holds a certificate; take the key out of it: openssl x509 -in FILE -noout -pubkey"
                .to_owned(),
        ),
        label if label.ends_with("PRIVATE KEY") => Err(
            "holds a private key, which the server must not have; take the public one out of it: openssl pkey -in FILE -pubout"
                .to_owned(),
        ),
        _ => Err("isn't a PEM block with the label PUBLIC KEY".to_owned()),
    }
}

/// Returns label and content of the first block.
fn block(text: &str) -> Result<(&str, Vec<u8>), String> {
    let parts = || {
        let (_, rest) = text.split_once("-----BEGIN ")?;
        let (label, rest) = rest.split_once("-----")?;
        let (body, end) = rest.split_once("-----END ")?;
        (end.split_once("-----")?.0 == label).then_some((label, body))
    };
    let (label, body) = parts().ok_or(
        "isn't PEM: it has no lines -----BEGIN PUBLIC KEY----- and -----END PUBLIC KEY-----",
    )?;
    let body: Vec<u8> = body
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    let der = STANDARD
        .decode(body)
        .map_err(|error| format!("isn't base64 between its first and last line: {error}"))?;
    Ok((label, der))
}

// The contents of OBJECT IDENTIFIERs (RFC 8017, RFC 5480, RFC 8410).
const RSA_ENCRYPTION: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const PRIME256V1: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const SECP384R1: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
const SECP521R1: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x23];
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];

// Tags of DER.
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OBJECT_IDENTIFIER: u8 = 0x06;
const SEQUENCE: u8 = 0x30;

/// Parses a `SubjectPublicKeyInfo` (RFC 5280). `None` if it isn't one, or of a kind that isn't supported.
fn subject_public_key(der: &[u8]) -> Option<Result<PublicKey, String>> {
    let mut outer = Der(der);
    let mut info = Der(outer.value(SEQUENCE)?);
    let mut algorithm = Der(info.value(SEQUENCE)?);
    let identifier = algorithm.value(OBJECT_IDENTIFIER)?;
    // A key is whole bytes: the number of unused bits is zero.
    let key = info.value(BIT_STRING)?.strip_prefix(&[0])?;
    if !outer.0.is_empty() || !info.0.is_empty() {
        return None;
    }
    match identifier {
        RSA_ENCRYPTION => rsa_public_key(key),
        EC_PUBLIC_KEY => Some(match algorithm.value(OBJECT_IDENTIFIER)? {
            PRIME256V1 => PublicKey::ec_point(Curve::P256, key),
            SECP384R1 => PublicKey::ec_point(Curve::P384, key),
            SECP521R1 => Err("is a key on the curve P-521, which isn't supported".to_owned()),
            _ => Err("is a key on a curve that isn't supported; P-256 and P-384 are".to_owned()),
        }),
        ED25519 => Some(PublicKey::ed25519(key)),
        _ => None,
    }
}

/// Parses an `RSAPublicKey` (RFC 8017, appendix A.1.1). `None` if it isn't one.
fn rsa_public_key(der: &[u8]) -> Option<Result<PublicKey, String>> {
    let mut outer = Der(der);
    let mut numbers = Der(outer.value(SEQUENCE)?);
    let modulus = numbers.value(INTEGER)?;
    let exponent = numbers.value(INTEGER)?;
    if !outer.0.is_empty() || !numbers.0.is_empty() {
        return None;
    }
    Some(PublicKey::rsa(modulus, exponent))
}

/// What is left to read of a DER value (X.690).
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// Reads a value with this tag and returns its content.
    fn value(&mut self, tag: u8) -> Option<&'a [u8]> {
        let rest = self.0.strip_prefix(&[tag])?;
        let (&first, rest) = rest.split_first()?;
        // Up to 127, the length is one byte. Else it says how many bytes of length follow: two are enough for 64 KiB.
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81 => {
                let (&byte, rest) = rest.split_first()?;
                (usize::from(byte), rest)
            }
            0x82 => {
                let (bytes, rest) = rest.split_first_chunk::<2>()?;
                (usize::from(u16::from_be_bytes(*bytes)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some(content)
    }
}
