//! What no driver may see, what needs no driver, and answers that no driver may give.

use crate::contract::{
    Capabilities, Error, ErrorKind, FileInfo, MAX_CONTENT, MAX_DELETE_FILES, Result, StoragePath, WriteMode,
};

/// Refuses the root, which is a directory and nothing else.
pub(super) fn not_root(path: &StoragePath) -> Result<()> {
    if path.is_root() {
        return Err(Error::invalid_path(path, "this operation takes no root; name a file or a directory below it"));
    }
    Ok(())
}

/// Refuses a content larger than one piece may be, on its way in or out.
pub(super) fn content_size(bytes: usize) -> Result<()> {
    if bytes as u64 > MAX_CONTENT {
        let message = format!("the content has {bytes} bytes, and {MAX_CONTENT} is the most; use a reader or a writer");
        return Err(Error::new(ErrorKind::TooLarge, message));
    }
    Ok(())
}

/// Refuses what would change the store of a driver that only reads.
pub(super) fn change(capabilities: &Capabilities) -> Result<()> {
    if capabilities.read_only {
        return Err(Error::unsupported("this driver only reads, and nothing in its store can be changed through it"));
    }
    Ok(())
}

/// Refuses to continue an upload where the driver does not say that it can.
pub(super) fn append(mode: WriteMode, capabilities: &Capabilities) -> Result<()> {
    if mode == WriteMode::Append && !capabilities.resumable {
        return Err(Error::unsupported("this driver does not continue uploads; begin the upload anew"));
    }
    Ok(())
}

/// Refuses `uploads` where the driver does not say that it can tell them.
pub(super) fn uploads(capabilities: &Capabilities) -> Result<()> {
    if !capabilities.uploads {
        return Err(Error::unsupported("this driver cannot tell which uploads are unfinished"));
    }
    Ok(())
}

/// Refuses more files than one call takes.
pub(super) fn file_count(files: usize) -> Result<()> {
    if files > MAX_DELETE_FILES {
        let message = format!("{files} files, and one call takes {MAX_DELETE_FILES}; call again for the rest");
        return Err(Error::new(ErrorKind::LimitExceeded { limit: "delete-files" }, message));
    }
    Ok(())
}

/// Answers a move of a path onto itself: nothing happens, but only a file can be moved.
pub(super) fn moved_onto_itself(info: FileInfo) -> Result<()> {
    if info.is_dir { Err(Error::path_not_found(&info.path)) } else { Ok(()) }
}

/// Holds what a driver tells of a path against what was asked.
pub(super) fn info(path: &StoragePath, mut info: FileInfo) -> Result<FileInfo> {
    if info.path != *path {
        return Err(fault(format!("it was asked for {path} and told of {}", info.path)));
    }
    if path.is_root() && !info.is_dir {
        return Err(fault("it told of the root as of a file"));
    }
    // Stores keep sizes of directories (a block, a marker); they say nothing to anybody.
    if info.is_dir {
        info.size = 0;
    }
    Ok(info)
}

/// Holds an address that a client would be sent to against what such an address must be.
pub(super) fn address(text: String) -> Result<String> {
    match super::address::parse(&text) {
        Ok(_) => Ok(text),
        Err(why) => Err(fault(format!("the address that it gave for a client {why}"))),
    }
}

/// The driver broke the contract. Nothing that the caller could do differently helps.
pub(super) fn fault(what: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Other, format!("the driver broke the contract: {what}; report it to the driver's author"))
}
