//! What the SDK's module keeps an author from sending.

use wasip3::http::types::Fields;
use wharf_sdk::{Error, Result};

/// Puts a header past the SDK's checks.
pub(crate) fn send_with_header(header: &str) -> Result<Vec<u8>> {
    let (name, value) = header.split_once(": ").unwrap_or((header, ""));
    match Fields::from_list(&[(name.to_owned(), value.as_bytes().to_vec())]) {
        Ok(_) => Ok(format!("the header {name:?} was taken").into_bytes()),
        Err(error) => Err(Error::access_denied(format!("{error:?}"))),
    }
}

/// Hands over a list of so many headers.
pub(crate) fn many_headers(count: u64) -> Result<Vec<u8>> {
    let list: Vec<_> = (0..count).map(|number| (format!("x-{number}"), b"value".to_vec())).collect();
    match Fields::from_list(&list) {
        Ok(_) => Ok(format!("{count} headers were taken").into_bytes()),
        Err(error) => Err(Error::access_denied(format!("{error:?}"))),
    }
}
