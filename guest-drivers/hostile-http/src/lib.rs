//! A driver that sends the requests that its parameters name: for tests of what the host lets out.
//!
//! Reading a file fetches the URL, with the path added where the URL ends in `/`; an upload is sent to it with PUT as it
//! comes; `stat` asks with HEAD. What a server answers, it tells: as content, as a stream that it passes on, or as an
//! error.

mod raw;

use serde::Deserialize;
use wharf_sdk::http::{Method, Request, Response};
use wharf_sdk::{
    ByteRange, ByteStream, Capabilities, Error, FileInfo, FileWriter, Instances, Listing, Position, Reader, Result,
    StorageDriver, WriteMode,
};

wharf_sdk::export!(HostileHttp);

/// The parameters.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    /// Where requests go.
    url: String,
    /// How. Default: GET for reading.
    method: Option<String>,
    /// A header, as `name: value`, that is put past the SDK's checks.
    raw_header: Option<String>,
    /// Whether to follow redirects.
    #[serde(default)]
    follow: bool,
    /// How many requests are sent and kept.
    #[serde(default)]
    keep: u64,
    /// How many headers are sent in one list.
    #[serde(default)]
    headers: u64,
    /// How many lists of headers are made and kept, each as large as it can be.
    #[serde(default)]
    lists: u64,
    /// How many requests are made and kept, each with texts of a megabyte.
    #[serde(default)]
    texts: u64,
}

struct HostileHttp(Parameters);

impl HostileHttp {
    fn url(&self, path: &str) -> String {
        match self.0.url.strip_suffix('/') {
            Some(base) => format!("{base}{path}"),
            None => self.0.url.clone(),
        }
    }

    async fn get(&self, path: &str, range: ByteRange) -> Result<Response> {
        let mut url = self.url(path);
        for _ in 0..5 {
            let method = match self.0.method.as_deref() {
                None => Method::Get,
                Some(other) => Method::Other(other.to_owned()),
            };
            let mut request = Request::new(method, &url)?;
            if range.offset > 0 || range.length.is_some() {
                let end = range.length.map(|length| (range.offset + length).saturating_sub(1).to_string());
                request = request.header("range", &format!("bytes={}-{}", range.offset, end.unwrap_or_default()))?;
            }
            let response = request.send().await?;
            match response.header("location") {
                Some(location) if self.0.follow && (300..400).contains(&response.status()) => url = location,
                _ if response.is_success() => return Ok(response),
                _ => return Err(response.error(&url)),
            }
        }
        Err(Error::other("too many redirects"))
    }
}

/// Returns the size of the whole file, where the answer tells only the part's beside it.
fn whole_size(response: &Response) -> Result<u64> {
    let total = response.header("content-range").and_then(|range| range.rsplit('/').next()?.parse().ok());
    total.or(response.content_length()).ok_or_else(|| Error::other("the server tells no size"))
}

impl StorageDriver for HostileHttp {
    const NAME: &'static str = "hostile-http";
    const INSTANCES: Instances = Instances::Many;
    type Parameters = Parameters;
    type Writer = Upload;

    async fn open(parameters: Parameters) -> Result<Self> {
        Ok(HostileHttp(parameters))
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    async fn get_content(&self, path: &str) -> Result<Vec<u8>> {
        if let Some(header) = &self.0.raw_header {
            return raw::send_with_header(header);
        }
        if self.0.headers > 0 {
            return raw::many_headers(self.0.headers);
        }
        if self.0.lists > 0 {
            return raw::keep_lists(self.0.lists);
        }
        if self.0.texts > 0 {
            return raw::keep_texts(self.0.texts);
        }
        let mut kept = Vec::new();
        for _ in 0..self.0.keep {
            kept.push(self.get(path, ByteRange::ALL).await?);
        }
        self.get(path, ByteRange::ALL).await?.bytes(1 << 20).await
    }

    async fn put_content(&self, path: &str, content: Vec<u8>) -> Result<()> {
        let response = Request::put(&self.url(path))?.body(content).send().await?;
        if response.is_success() { Ok(()) } else { Err(response.error(path)) }
    }

    async fn reader(&self, path: &str, range: ByteRange) -> Result<Reader> {
        let response = self.get(path, range).await?;
        let info = FileInfo::file(path, whole_size(&response)?);
        let (stream, outcome) = response.into_stream();
        Ok(Reader::from_stream(info, stream, outcome))
    }

    async fn writer(&self, path: &str, _: WriteMode) -> Result<Upload> {
        Ok(Upload { url: self.url(path), size: 0 })
    }

    async fn stat(&self, path: &str) -> Result<FileInfo> {
        if path == "/" {
            return Ok(FileInfo::directory(path));
        }
        // What is asked to see whether the driver serves goes nowhere.
        if path == "/quiet" {
            return Ok(FileInfo::file(path, 5));
        }
        let response = Request::head(&self.url(path))?.send().await?;
        if !response.is_success() {
            return Err(response.error(path));
        }
        Ok(FileInfo::file(path, whole_size(&response)?))
    }

    async fn list(&self, _: &str, _: Option<Position>) -> Result<Listing> {
        Err(Error::unsupported("a web server cannot be listed"))
    }

    async fn move_file(&self, _: &str, _: &str) -> Result<()> {
        Err(Error::unsupported("a web server cannot move"))
    }

    async fn delete(&self, path: &str) -> Result<()> {
        let response = Request::delete(&self.url(path))?.send().await?;
        if response.is_success() { Ok(()) } else { Err(response.error(path)) }
    }
}

/// An upload: one PUT, as long as the one `write` lasts.
struct Upload {
    url: String,
    size: u64,
}

impl FileWriter for Upload {
    fn size(&self) -> u64 {
        self.size
    }

    async fn write(&mut self, _: Vec<u8>) -> Result<()> {
        Err(Error::unsupported("an upload is sent as a stream"))
    }

    async fn write_stream(&mut self, data: ByteStream) -> Result<()> {
        let response = Request::put(&self.url)?.body_stream(data, None).send().await?;
        if !response.is_success() {
            return Err(response.error(&self.url));
        }
        // The server says how much it got.
        let got = response.bytes(64).await?;
        let text = String::from_utf8_lossy(&got);
        self.size += text.trim().parse::<u64>().map_err(|_| Error::other("the server does not tell a number"))?;
        Ok(())
    }

    async fn close(self) -> Result<u64> {
        Ok(self.size)
    }

    async fn commit(self) -> Result<u64> {
        Ok(self.size)
    }

    async fn cancel(self) -> Result<()> {
        Ok(())
    }
}
