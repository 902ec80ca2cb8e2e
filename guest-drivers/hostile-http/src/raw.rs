//! What the SDK's module keeps an author from sending.

use std::mem::forget;

use wasip3::http::types::{Fields, Method, Request};
use wasip3::wit_future;
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

/// Makes `count` lists of headers, each as large as it can be, and keeps them.
pub(crate) fn keep_lists(count: u64) -> Result<Vec<u8>> {
    let value = vec![b'x'; 1000];
    for _ in 0..count {
        let list = Fields::new();
        while list.append("x-long", &value).is_ok() {}
        forget(list);
    }
    Ok(format!("{count} lists").into_bytes())
}

/// Makes `count` requests and keeps them, each with texts of a megabyte where the host accepts these.
pub(crate) fn keep_texts(count: u64) -> Result<Vec<u8>> {
    let text = "x".repeat(1 << 20);
    for _ in 0..count {
        let (trailers, no_trailers) = wit_future::new(|| Ok(None));
        let (request, sent) = Request::new(Fields::new(), None, no_trailers, None);
        let _ = request.set_method(&Method::Other(text.clone()));
        let _ = request.set_authority(Some(&text));
        let _ = request.set_path_with_query(Some(&format!("/{text}")));
        forget((request, sent, trailers));
    }
    Ok(format!("{count} texts").into_bytes())
}
