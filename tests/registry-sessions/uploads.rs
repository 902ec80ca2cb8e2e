//! A client's way through an upload whose connection may break at any moment: ask what is there, and go on or begin anew.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use wharf_conformance::content::Random;
use wharf_conformance::images::Blob;
use wharf_conformance::registry_client::{Client, ClientError, Result};

/// How long a registry may be away.
const PATIENCE: Duration = Duration::from_secs(60);

/// What happened to the requests of a client.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    /// Requests without an answer.
    pub(crate) lost: usize,
    /// Uploads that went on where they were.
    pub(crate) continued: usize,
    /// Uploads that had to begin anew.
    pub(crate) anew: usize,
}

impl Tally {
    pub(crate) fn add(&mut self, other: Tally) {
        self.lost += other.lost;
        self.continued += other.continued;
        self.anew += other.anew;
    }
}

/// A client that does not give up.
pub(crate) struct Stubborn {
    pub(crate) client: Client,
    pub(crate) tally: Tally,
    address: SocketAddr,
    random: Random,
}

impl Stubborn {
    pub(crate) fn new(address: SocketAddr, seed: u64) -> Self {
        let client = Client::new(address).with_patience(Duration::from_secs(30));
        Stubborn { client, tally: Tally::default(), address, random: Random::new(seed) }
    }

    /// Does something until there is an answer. Only for what may be done twice.
    pub(crate) fn until_answered<T>(&mut self, mut attempt: impl FnMut(&mut Client) -> Result<T>) -> Result<T> {
        loop {
            match attempt(&mut self.client) {
                Err(error) if error.is_lost() => self.wait_after(error)?,
                answered => return answered,
            }
        }
    }

    /// Pushes a blob, in one request or in chunks, whatever happens meanwhile.
    pub(crate) fn push_blob(&mut self, name: &str, blob: &Blob) -> Result<()> {
        let chunk = if self.random.below(3) == 0 { blob.bytes.len() } else { 2 + self.random.below(64 * 1024) };
        'anew: loop {
            let mut upload = self.until_answered(|client| client.begin(name))?;
            let mut sent = 0;
            loop {
                let rest = blob.bytes.len() - sent;
                let done = if rest > chunk {
                    let bytes = &blob.bytes[sent..sent + chunk];
                    self.client.patch(&upload, sent, bytes).map(|next| {
                        upload = next;
                        sent += chunk;
                        false
                    })
                } else {
                    self.client.finish(&upload, &blob.bytes[sent..], &blob.digest).map(|()| true)
                };
                match done {
                    Ok(true) => return Ok(()),
                    Ok(false) => {}
                    // What was asked for is there or is not known: an address may say how many bytes there were.
                    Err(error) if error.is_lost() => {
                        self.wait_after(error)?;
                        match self.until_answered(|client| client.offset(&upload)) {
                            Ok((offset, _)) if offset > blob.bytes.len() => {
                                let told = format!("an upload of {} bytes has {offset}", blob.bytes.len());
                                return Err(ClientError::Wrong(told));
                            }
                            Ok((offset, next)) => {
                                self.tally.continued += 1;
                                (sent, upload) = (offset, next);
                            }
                            Err(error) if matches!(error.status(), Some(404 | 416)) => {
                                if self.is_there(name, blob)? {
                                    return Ok(());
                                }
                                self.tally.anew += 1;
                                continue 'anew;
                            }
                            Err(error) => return Err(error),
                        }
                    }
                    Err(error) if matches!(error.status(), Some(404 | 416)) => {
                        self.tally.anew += 1;
                        continue 'anew;
                    }
                    Err(error) => return Err(error),
                }
            }
        }
    }

    fn is_there(&mut self, name: &str, blob: &Blob) -> Result<bool> {
        let target = format!("/v2/{name}/blobs/{}", blob.digest);
        let response = self.until_answered(|client| client.send("HEAD", &target, &[], None))?;
        Ok(response.status == 200)
    }

    /// Waits until the registry is there again.
    fn wait_after(&mut self, error: ClientError) -> Result<()> {
        self.tally.lost += 1;
        let until = Instant::now() + PATIENCE;
        loop {
            std::thread::sleep(Duration::from_millis(5));
            let mut other = Client::new(self.address).with_patience(Duration::from_secs(5));
            match other.expect(200, "GET", "/v2/", &[], None) {
                Ok(_) => return Ok(()),
                Err(_) if Instant::now() < until => {}
                Err(_) => return Err(error),
            }
        }
    }
}
