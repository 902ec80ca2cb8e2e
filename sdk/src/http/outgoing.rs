//! A request in the terms of `wasi:http`.

use std::time::Duration;

use wasip3::http::types as wasi;
use wasip3::wit_stream;
use wit_bindgen::{StreamReader, StreamWriter};

use super::Method;
use super::headers::Headers;
use super::url::Url;
use crate::{ByteStream, Error, Result};

pub(super) enum Body {
    None,
    Bytes(Vec<u8>),
    Stream(ByteStream, Option<u64>),
}

#[derive(Clone, Copy, Default)]
pub(super) struct Timeouts {
    pub(super) connect: Option<Duration>,
    pub(super) first_byte: Option<Duration>,
    pub(super) between_bytes: Option<Duration>,
}

pub(super) type Bytes = (StreamWriter<u8>, Vec<u8>);

pub(super) fn contents(body: Body) -> (Option<Bytes>, Option<StreamReader<u8>>) {
    match body {
        Body::Bytes(bytes) if !bytes.is_empty() => {
            let (sender, contents) = wit_stream::new();
            (Some((sender, bytes)), Some(contents))
        }
        Body::None | Body::Bytes(_) => (None, None),
        Body::Stream(stream, _) => (None, Some(stream.into())),
    }
}

pub(super) fn headers(headers: &Headers, length: Option<u64>) -> Result<wasi::Headers> {
    let fields = wasi::Headers::new();
    let append = |name: &str, value: &[u8]| {
        fields.append(name, value).map_err(|cause| {
            Error::other(match cause {
                wasi::HeaderError::Forbidden => format!("the header {name} is not a driver's to set"),
                wasi::HeaderError::InvalidSyntax => format!("the host does not take this value of the header {name}"),
                wasi::HeaderError::SizeExceeded => format!("the headers are too large, up to {name}"),
                other => format!("the host does not take the header {name}: {other:?}"),
            })
        })
    };
    for (name, value) in &headers.0 {
        append(name, value)?;
    }
    if let Some(length) = length {
        append("content-length", length.to_string().as_bytes())?;
    }
    Ok(fields)
}

impl Timeouts {
    pub(super) fn options(self) -> Result<Option<wasi::RequestOptions>> {
        if self.connect.or(self.first_byte).or(self.between_bytes).is_none() {
            return Ok(None);
        }
        let options = wasi::RequestOptions::new();
        let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let set = [
            self.connect.map(|time| options.set_connect_timeout(Some(nanoseconds(time)))),
            self.first_byte.map(|time| options.set_first_byte_timeout(Some(nanoseconds(time)))),
            self.between_bytes.map(|time| options.set_between_bytes_timeout(Some(nanoseconds(time)))),
        ];
        for result in set.into_iter().flatten() {
            result.map_err(|cause| Error::unsupported(format!("the host cannot keep a timeout: {cause:?}")))?;
        }
        Ok(Some(options))
    }
}

pub(super) fn address(request: &wasi::Request, method: Method, url: &Url) -> Result<()> {
    let scheme = if url.is_https { wasi::Scheme::Https } else { wasi::Scheme::Http };
    request.set_method(&method.into()).map_err(|()| Error::other("the host does not send this method"))?;
    request
        .set_scheme(Some(&scheme))
        .and_then(|()| request.set_authority(Some(&url.authority)))
        .and_then(|()| request.set_path_with_query(Some(&url.path_with_query)))
        .map_err(|()| Error::other("the host does not take this URL; percent-encode what is special in it"))
}
