//! A driver that only reads: the files of a tar archive, as somebody else wrote it.
//!
//! The archive is read through once, when the driver is opened, for the places of its files; their bytes never enter the
//! component. What stands in it twice is the later one, as `tar` extracts it; what has a name outside the contract's grammar is
//! not there.

mod tar;

use std::collections::BTreeMap;

use serde::Deserialize;
use wharf_sdk::files::{Dir, File, Open};
use wharf_sdk::{
    ByteRange, Capabilities, Entry, Error, FileInfo, Instances, Listing, Position, Reader, Result, StorageDriver,
    Timestamp, is_path_component,
};

use tar::{BLOCK, Header, Kind};

/// The longest name, or set of attributes, of a member.
const LONGEST: u64 = 64 * 1024;

/// What the host's configuration says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// The archive as the component sees it, in a directory that is granted: `/data/images.tar`.
    file: String,
}

/// Where a file's bytes lie.
struct Place {
    offset: u64,
    size: u64,
    modified: Timestamp,
}

struct Archive {
    file: File,
    index: BTreeMap<String, Place>,
}

wharf_sdk::export!(Archive);

impl StorageDriver for Archive {
    wharf_sdk::only_reads!();
    const NAME: &'static str = "archive";
    const INSTANCES: Instances = Instances::Many;
    type Parameters = Parameters;

    async fn open(parameters: Parameters) -> Result<Self> {
        let path = &parameters.file;
        let (directory, name) =
            path.rsplit_once('/').filter(|(directory, _)| directory.starts_with('/')).ok_or_else(|| {
                Error::invalid_parameters("`file`: the path of a file in a directory that is granted: /DIRECTORY/FILE")
            })?;
        let file = Dir::granted(directory).await?.open(name, Open::Read).await?;
        let index = index(&file).await?;
        Ok(Archive { file, index })
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { read_only: true, ..Capabilities::default() }
    }

    async fn reader(&self, path: &str, range: ByteRange) -> Result<Reader> {
        let place = self.index.get(path).ok_or_else(Error::path_not_found)?;
        let range = range.within(place.size)?;
        if range.is_empty() {
            return Ok(Reader::from_bytes(place.info(path), Vec::new()));
        }
        let (stream, outcome) = self.file.read_stream(place.offset + range.start);
        Ok(Reader::from_stream(place.info(path), stream, outcome))
    }

    async fn stat(&self, path: &str) -> Result<FileInfo> {
        match self.index.get(path) {
            Some(place) => Ok(place.info(path)),
            None => self.list(path, None).await.map(|_| FileInfo::directory(path)),
        }
    }

    async fn list(&self, path: &str, start_after: Option<Position>) -> Result<Listing> {
        let below = if path == "/" { path.to_owned() } else { format!("{path}/") };
        let files = self.index.range(below.clone()..).take_while(|(file, _)| file.starts_with(&below));
        let files = files.map(|(path, place)| Entry::file(path, place.size).with_modified(place.modified));
        Listing::from_files(path, files, start_after.as_ref())
    }
}

impl Place {
    fn info(&self, path: &str) -> FileInfo {
        FileInfo::file(path, self.size).with_modified(self.modified)
    }
}

/// Reads the headers of an archive.
async fn index(file: &File) -> Result<BTreeMap<String, Place>> {
    let whole = file.metadata().await?.size;
    let mut index = BTreeMap::new();
    let (mut long_name, mut long_size) = (None, None);
    let mut at = 0;
    let damaged = |at: u64, why: &str| Error::other(format!("the archive is damaged at byte {at}: {why}"));
    while at < whole {
        let block = read(file, at, BLOCK).await?;
        let block = block.try_into().map_err(|_| damaged(at, "it is cut short"))?;
        let Some(mut header) = Header::parse(&block).map_err(|why| damaged(at, why))? else { break };
        if let (Kind::File | Kind::Other, Some(size)) = (&header.kind, long_size.take()) {
            header.size = size;
        }
        let content = at + BLOCK;
        let next = header.follow().and_then(|follow| content.checked_add(follow));
        let next = next.filter(|next| *next <= whole).ok_or_else(|| damaged(at, "it is cut short"))?;
        match header.kind {
            Kind::LongName | Kind::Attributes if header.size > LONGEST => {
                return Err(damaged(at, "a name, or what is said of a file, is too long"));
            }
            Kind::LongName => long_name = Some(tar::text(&read(file, content, header.size).await?)),
            Kind::Attributes => {
                let attributes = read(file, content, header.size).await?;
                long_name = tar::attribute(&attributes, "path").or(long_name);
                long_size = tar::attribute(&attributes, "size").and_then(|size| size.parse().ok());
            }
            Kind::File => {
                let name = long_name.take().unwrap_or(header.name);
                if let Some(path) = path(&name) {
                    let modified = Timestamp { seconds: header.modified, nanoseconds: 0 };
                    index.insert(path, Place { offset: content, size: header.size, modified });
                }
            }
            Kind::Other => long_name = None,
        }
        at = next;
    }
    Ok(index)
}

/// Returns the path of a member; none if its name is outside the grammar.
fn path(name: &str) -> Option<String> {
    let name = name.strip_prefix("./").unwrap_or(name);
    name.split('/').all(is_path_component).then(|| format!("/{name}"))
}

/// Reads bytes of the archive; fewer at its end.
async fn read(file: &File, offset: u64, count: u64) -> Result<Vec<u8>> {
    let (mut stream, _) = file.read_stream(offset);
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < count
        && let Some(chunk) = stream.next().await
    {
        bytes.extend_from_slice(&chunk);
    }
    bytes.truncate(usize::try_from(count).unwrap_or(usize::MAX));
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_has_a_path_if_its_name_is_in_the_grammar() {
        assert_eq!(path("a/b.c").as_deref(), Some("/a/b.c"));
        assert_eq!(path("./a").as_deref(), Some("/a"));
        for name in ["", "/a", "a//b", "a/../b", "a b", "a/"] {
            assert_eq!(path(name), None, "{name}");
        }
    }
}
