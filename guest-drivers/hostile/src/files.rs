//! Files, variables and addresses that it was not granted.

use std::fs;
use std::io::{self, Seek as _};
use std::net::TcpStream;

use wasip3::filesystem::preopens;
use wasip3::filesystem::types::{DescriptorFlags, OpenFlags, PathFlags};

use crate::bindings::wharf::storage::types::{Error, ErrorKind};
use crate::error;

/// The directory that the tests grant.
const DATA: &str = "/data";

pub(crate) fn explain(mistake: io::Error) -> Error {
    let kind = match mistake.kind() {
        io::ErrorKind::NotFound => ErrorKind::PathNotFound,
        _ => ErrorKind::AccessDenied,
    };
    error(kind, mistake.to_string())
}

pub(crate) fn read(path: &str) -> Result<String, Error> {
    fs::read_to_string(path).map_err(explain)
}

pub(crate) fn write(path: &str) -> Result<String, Error> {
    fs::write(path, "the component was here").map_err(explain)?;
    Ok(format!("{path} written"))
}

/// With the interface's own call: the standard library cannot make links to absolute paths here.
pub(crate) async fn symbolic_link(target: &str, link: &str) -> Result<String, Error> {
    let denied = |code| error(ErrorKind::AccessDenied, format!("{code:?}"));
    let Some((directory, _)) = preopens::get_directories().pop() else {
        return Err(error(ErrorKind::AccessDenied, "no directory"));
    };
    if !target.is_empty() {
        directory.symlink_at(target.to_owned(), link.to_owned()).await.map_err(denied)?;
    }
    let flags = PathFlags::SYMLINK_FOLLOW;
    directory.open_at(flags, link.to_owned(), OpenFlags::empty(), DescriptorFlags::READ).await.map_err(denied)?;
    fs::read_to_string(format!("{DATA}/{link}")).map_err(explain)
}

pub(crate) fn hard_link(target: &str, link: &str) -> Result<String, Error> {
    fs::hard_link(target, format!("{DATA}/{link}")).map_err(explain)?;
    fs::read_to_string(format!("{DATA}/{link}")).map_err(explain)
}

pub(crate) fn rename(from: &str, to: &str) -> Result<String, Error> {
    fs::rename(from, to).map_err(explain)?;
    Ok(format!("{from} renamed to {to}"))
}

pub(crate) fn list(path: &str) -> Result<String, Error> {
    let names: Result<Vec<_>, io::Error> =
        fs::read_dir(path).map_err(explain)?.map(|entry| Ok(entry?.file_name())).collect();
    Ok(format!("{:?}", names.map_err(explain)?))
}

pub(crate) fn connect(address: &str) -> Result<String, Error> {
    TcpStream::connect(address).map_err(explain)?;
    Ok(format!("a connection to {address}"))
}

pub(crate) fn look_up(name: &str) -> Result<String, Error> {
    let found = std::net::ToSocketAddrs::to_socket_addrs(&(name, 80)).map_err(explain)?;
    Ok(format!("{:?}", found.collect::<Vec<_>>()))
}

/// Opens the file of an upload, at its end; none without a directory.
pub(crate) fn upload(path: &str, append: bool) -> Result<(Option<fs::File>, u64), io::Error> {
    let Ok(true) = fs::exists(DATA) else { return Ok((None, 0)) };
    let mut file =
        fs::OpenOptions::new().write(true).create(!append).truncate(!append).open(format!("{DATA}{path}"))?;
    let size = file.seek(io::SeekFrom::End(0))?;
    Ok((Some(file), size))
}
