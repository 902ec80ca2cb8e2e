//! Addresses for requests to an S3 server that no driver makes: to make a bucket, to play another client. Whoever has one
//! sends it with any program, such as curl.

use std::time::{SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::servers::{ACCESS_KEY, SECRET_KEY};

const REGION: &str = "us-east-1";

/// Returns the address of a request, valid for an hour: `path` as it is sent, without a leading slash, and the query's
/// names and values, which need no encoding.
///
/// Signature version 4 in the query, with the key of the servers that `cargo xtask` starts.
pub fn presign(method: &str, endpoint: &str, path: &str, query: &[(&str, &str)]) -> String {
    let (day, time) = now();
    let scope = format!("{day}/{REGION}/s3/aws4_request");
    let credential = format!("{ACCESS_KEY}%2F{}", scope.replace('/', "%2F"));
    let mut parameters: Vec<(String, String)> =
        query.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    parameters.extend(
        [
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
            ("X-Amz-Credential", &credential),
            ("X-Amz-Date", &time),
            ("X-Amz-Expires", "3600"),
            ("X-Amz-SignedHeaders", "host"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    parameters.sort();
    let query: Vec<String> = parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let query = query.join("&");
    let host = endpoint.split("://").nth(1).unwrap_or(endpoint);
    let request = format!("{method}\n/{path}\n{query}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD");
    let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hex(&Sha256::digest(request)));
    let key = ["s3", "aws4_request"]
        .iter()
        .fold(sign(&sign(format!("AWS4{SECRET_KEY}").as_bytes(), &day), REGION), |key, part| sign(&key, part));
    format!("{endpoint}/{path}?{query}&X-Amz-Signature={}", hex(&sign(&key, &text)))
}

fn sign(key: &[u8], text: &str) -> Vec<u8> {
    // Any length of key will do.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Vec::new() };
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The day and the time in the notation of signatures: `20261124`, `20261124T101530Z`.
fn now() -> (String, String) {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (days, rest) = (seconds / 86400, seconds % 86400);
    // Civil date from days (Howard Hinnant's algorithm), for years after 1970.
    let z = days + 719_468;
    let (era, of_era) = (z / 146_097, z % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let (day, month) = (of_year - (153 * shifted + 2) / 5 + 1, if shifted < 10 { shifted + 3 } else { shifted - 9 });
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let date = format!("{year:04}{month:02}{day:02}");
    let time = format!("{date}T{:02}{:02}{:02}Z", rest / 3600, rest / 60 % 60, rest % 60);
    (date, time)
}
