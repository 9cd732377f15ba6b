//! The macros of scripts.
//!
//! | macro | becomes |
//! |---|---|
//! | `~` | a text of this exchange alone |
//! | `@now`, `@now+60`, `@now-60` | seconds since 1970 |
//! | `@jwt(CLAIMS)` | a token with these claims, signed with the servers' secret (HS256) |
//! | `@jws(HEADER\|CLAIMS\|SECRET)` | any token; without a secret it has no signature |
//! | `@long(N)` | a text of N bytes |
//! | `@nest(N\|OPEN\|INNER\|CLOSE)` | OPEN N times, INNER, CLOSE N times |
//! | `@list(N\|TEXT)` | TEXT N times with commas between; `@i` in it is the number |
//! | `@url(TEXT)` | percent-encoded |
//! | `@text(JSON)` | a JSON string that contains it |
//! | `@epoch` | the last epoch that was received |
//! | `@client(a)`, `@session(a)`, `@node(a)` | what the connect reply of a client said |

use std::time::{SystemTime, UNIX_EPOCH};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::hmac;
use sockeye_hub::token::sign_hs256;

/// What the servers of this test sign with.
pub(crate) const SECRET: &str = "a secret for tokens, long enough";

/// What is known of the conversation so far.
pub(crate) trait Facts {
    /// A field of a client's connect reply.
    fn of_connect(&self, letter: char, field: &str) -> String;
    fn last_epoch(&self) -> String;
}

/// Replaces the macros in a step.
pub(crate) fn expand(step: &str, tag: &str, facts: &dyn Facts) -> String {
    expand_macros(&step.replace('~', tag), facts)
}

fn expand_macros(mut text: &str, facts: &dyn Facts) -> String {
    let mut expanded = String::new();
    while let Some(at) = text.find('@') {
        expanded.push_str(&text[..at]);
        let after = &text[at + 1..];
        let name_end = after
            .find(|letter: char| !letter.is_ascii_lowercase())
            .unwrap_or(after.len());
        let (name, rest) = after.split_at(name_end);
        match name {
            "now" => {
                let digits_end = rest
                    .char_indices()
                    .position(|(index, letter)| {
                        !(letter.is_ascii_digit() || (index == 0 && "+-".contains(letter)))
                    })
                    .unwrap_or(rest.len());
                let (shift, rest) = rest.split_at(digits_end);
                let shift: i64 = shift.parse().unwrap_or(0);
                expanded.push_str(&(now() + shift).to_string());
                text = rest;
            }
            "epoch" => {
                expanded.push_str(&facts.last_epoch());
                text = rest;
            }
            name if rest.starts_with('(') => {
                let end = end_of_argument(rest);
                expanded.push_str(&call(name, &rest[1..end], facts));
                text = &rest[end + 1..];
            }
            _ => {
                expanded.push('@');
                text = after;
            }
        }
    }
    expanded.push_str(text);
    expanded
}

/// Returns the place of the parenthesis that closes the first one.
fn end_of_argument(text: &str) -> usize {
    let mut depth = 0;
    for (at, letter) in text.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    panic!("a macro has no end: {text}")
}

fn call(name: &str, argument: &str, facts: &dyn Facts) -> String {
    if let "nest" | "list" = name {
        let parts: Vec<&str> = argument.split('|').collect();
        let count = number(parts[0]);
        let text = match (name, &parts[1..]) {
            ("nest", [open, inner, close]) => {
                format!("{}{inner}{}", open.repeat(count), close.repeat(count))
            }
            (_, parts) => {
                let texts = (1..=count).map(|i| parts[0].replace("@i", &i.to_string()));
                texts.collect::<Vec<_>>().join(",")
            }
        };
        return expand_macros(&text, facts);
    }
    let argument = expand_macros(argument, facts);
    match name {
        "jwt" => sign_hs256(SECRET.as_bytes(), argument.as_bytes()).expect("claims"),
        "jws" => token(&argument),
        "long" => "x".repeat(number(&argument)),
        "url" => percent_encoded(&argument),
        "text" => serde_json::Value::from(argument).to_string(),
        "client" | "session" | "node" => {
            let letter = argument.chars().next().expect("a client's letter");
            facts.of_connect(letter, name)
        }
        other => panic!("no macro: @{other}"),
    }
}

fn number(text: &str) -> usize {
    text.parse().expect("a number")
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("a clock after 1970").as_secs().cast_signed()
}

fn token(argument: &str) -> String {
    let parts: Vec<&str> = argument.split('|').collect();
    let [header, claims, secret] = parts[..] else {
        panic!("header, claims, secret: {argument}");
    };
    let signed = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(claims)
    );
    if secret.is_empty() {
        return format!("{signed}.");
    }
    let algorithm = match header {
        header if header.contains("HS384") => hmac::HMAC_SHA384,
        header if header.contains("HS512") => hmac::HMAC_SHA512,
        _ => hmac::HMAC_SHA256,
    };
    let signature = hmac::sign(
        &hmac::Key::new(algorithm, secret.as_bytes()),
        signed.as_bytes(),
    );
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn percent_encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nothing;

    impl Facts for Nothing {
        fn of_connect(&self, letter: char, field: &str) -> String {
            format!("{letter}.{field}")
        }

        fn last_epoch(&self) -> String {
            "e".to_owned()
        }
    }

    #[test]
    fn macros_can_stand_in_macros() {
        let expanded = |text| expand(text, "k1", &Nothing);
        assert_eq!(expanded("~ @long(3) @url({\"a\"})"), "k1 xxx %7B%22a%22%7D");
        assert_eq!(expanded("@nest(2|[|1|])"), "[[1]]");
        assert_eq!(expanded("@list(2|\"~@i\")"), "\"k11\",\"k12\"");
        assert_eq!(expanded("@url(@session(b))"), "b%2Esession");
        assert_eq!(expanded("@text({\"a\":1})"), r#""{\"a\":1}""#);
        assert_eq!(expanded("@epoch,a@b"), "e,a@b");
    }
}
